package api

import (
	"cmp"
	"context"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/penumbra-iac/penumbra"
)

// maxVersion bounds a version on the wire, as base64.
const maxVersion = 512 << 20

type versionList struct {
	Versions []penumbra.ModelVersion `json:"versions" doc:"The newest first."`
	Next     string                  `json:"next,omitempty" doc:"The cursor of the next page, absent on the last."`
}

func (l versionList) next() string { return l.Next }

type versionQuery struct{ Paging }

type newVersion struct {
	Body struct {
		Version penumbra.ModelVersion `json:"version" doc:"What is known of it; number and state are given by the daemon."`
		Data    []byte                `json:"data,omitempty" doc:"What the model starts from, in its family's own format; nothing for a family as it ships."`
	}
}

type promotion struct {
	Number int `path:"number" doc:"The version's number." example:"3"`
	Body   struct {
		By     string `json:"by,omitempty" doc:"Who promotes it: the credential's name, which may be left out." example:"alice"`
		Forced string `json:"forced,omitempty" doc:"Why it is promoted although it was not shown to be better; recorded."`
	}
}

type modelRollback struct {
	Body struct {
		By string `json:"by,omitempty" doc:"Who goes back: the credential's name, which may be left out." example:"alice"`
	}
}

// pageOfVersions returns the newest versions below a number, of all if it is 0.
func pageOfVersions(versions []penumbra.ModelVersion, before, limit int) versionList {
	list := slices.DeleteFunc(slices.Clone(versions), func(v penumbra.ModelVersion) bool { return before != 0 && v.Number >= before })
	slices.SortFunc(list, func(a, b penumbra.ModelVersion) int { return cmp.Compare(b.Number, a.Number) })
	if len(list) <= limit {
		return versionList{Versions: orEmpty(list)}
	}
	list = list[:limit]
	return versionList{list, penumbra.WriteCursor(list[limit-1].Number)}
}

func addModels(a huma.API, s Modeller) {
	answer(a, route{http.MethodGet, "/v1/model", "get-model", "watch",
		"The model that keeps the shadow", "Its family, the active version and why it is that one; where it is a pool of experts, what they weigh over the estate and by type of resource.",
		exampleModel(),
	}, func(ctx context.Context, _ *none) (penumbra.ModelStatus, error) {
		return s.Model(ctx)
	})
	pages(a, route{http.MethodGet, "/v1/model/versions", "list-model-versions", "watch",
		"Versions of the model", "Trained ones and those that the model learnt while it served, the newest first, with their scores on the latest window.",
		versionList{Versions: []penumbra.ModelVersion{exampleVersion()}},
	}, func(in *versionQuery) *Paging { return &in.Paging }, func(ctx context.Context, in *versionQuery) (versionList, error) {
		var before int
		if err := penumbra.ReadCursor(in.Cursor, &before); err != nil {
			return versionList{}, err
		}
		versions, err := s.Versions(ctx)
		if err != nil {
			return versionList{}, err
		}
		return pageOfVersions(versions, before, in.Limit), nil
	})
	add := route{http.MethodPost, "/v1/model/versions", "add-model-version", "resolve",
		"Add a version of the model", "Keeps it as a candidate. It serves only once it is promoted.",
		exampleVersion(),
	}
	op := add.operation(a)
	op.MaxBodyBytes = maxVersion
	huma.Register(a, op, func(ctx context.Context, in *newVersion) (*output[penumbra.ModelVersion], error) {
		v := in.Body.Version
		var err error
		if v.By, err = asker(ctx, v.By); err != nil {
			return nil, problemOf(err)
		}
		v, err = s.AddVersion(ctx, v, in.Body.Data)
		if err != nil {
			return nil, problemOf(err)
		}
		return &output[penumbra.ModelVersion]{Body: v}, nil
	})
	op.Responses["200"].Content["application/json"].Example = add.example
	answer(a, route{http.MethodPost, "/v1/model/versions/{number}/promote", "promote-model-version", "resolve",
		"Promote a version of the model", "Makes it the active one: the model is built again from it and the timeline while observations wait. It is refused if the version has not beaten the active one on the latest window and no reason is given.",
		exampleVersion(),
	}, func(ctx context.Context, in *promotion) (penumbra.ModelVersion, error) {
		by, err := asker(ctx, in.Body.By)
		if err != nil {
			return penumbra.ModelVersion{}, err
		}
		return s.Promote(ctx, in.Number, by, in.Body.Forced)
	})
	answer(a, route{http.MethodPost, "/v1/model/rollback", "rollback-model", "resolve",
		"Go back to the version before", "What the model adopted last while it served no longer serves; if there is no such, the version before the active one is active again. The answer is the version that was left.",
		exampleVersion(),
	}, func(ctx context.Context, in *modelRollback) (penumbra.ModelVersion, error) {
		by, err := asker(ctx, in.Body.By)
		if err != nil {
			return penumbra.ModelVersion{}, err
		}
		return s.RollbackModel(ctx, by)
	})
}
