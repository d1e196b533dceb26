package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/penumbra-iac/penumbra"
)

// A Librarian shows what is known of settings.
type Librarian interface {
	// Knowledge returns the selected entries of the knowledge base in use, by their
	// identifiers. It returns an error of kind NotFound if one is named that is not
	// there.
	Knowledge(ctx context.Context, q penumbra.KnowledgeQuery) ([]penumbra.KnowledgeEntry, error)
}

type knowledgeList struct {
	Entries []penumbra.KnowledgeEntry `json:"entries"`
	Found   int                       `json:"found" doc:"On all pages."`
	Next    string                    `json:"next,omitempty" doc:"The cursor of the next page, absent on the last."`
}

func (l knowledgeList) next() string { return l.Next }

type knowledgeQuery struct {
	ID   string `query:"id" doc:"Only the entry of this id." example:"aws.rds.instance-class"`
	Type string `query:"type" doc:"Only entries on this type of resource; without a path also a pattern." example:"aws_db_instance"`
	Path string `query:"path" doc:"Only entries on this setting of the type, whatever their conditions." example:"instance_class"`
	Paging
}

func addKnowledge(a huma.API, s Librarian) {
	pages(a, route{http.MethodGet, "/v1/knowledge", "list-knowledge", "watch",
		"What is known of settings", "Entries of the knowledge base in use, the daemon's own and those of its configuration: what a change does, what cannot be undone, who owns a setting, good practice and hazards, with sources.",
		knowledgeList{Entries: []penumbra.KnowledgeEntry{exampleKnowledge()}, Found: 1},
	}, func(in *knowledgeQuery) *Paging { return &in.Paging }, func(ctx context.Context, in *knowledgeQuery) (knowledgeList, error) {
		var after string
		if err := penumbra.ReadCursor(in.Cursor, &after); err != nil {
			return knowledgeList{}, err
		}
		all, err := s.Knowledge(ctx, penumbra.KnowledgeQuery{ID: in.ID, Type: in.Type, Path: in.Path})
		if err != nil {
			return knowledgeList{}, err
		}
		list := knowledgeList{Found: len(all)}
		for len(all) > 0 && all[0].ID <= after && after != "" {
			all = all[1:]
		}
		if len(all) > in.Limit {
			all = all[:in.Limit]
			list.Next = penumbra.WriteCursor(all[in.Limit-1].ID)
		}
		list.Entries = orEmpty(all)
		return list, nil
	})
}

func exampleKnowledge() penumbra.KnowledgeEntry {
	return penumbra.KnowledgeEntry{
		ID: "aws.rds.instance-class", Title: "Another class takes the database down", Types: []string{"aws_db_instance"}, Paths: []string{"instance_class"},
		Fact: penumbra.Fact{
			Entry: "aws.rds.instance-class", Title: "Another class takes the database down", Effect: penumbra.RestartEffect,
			Sources: []penumbra.Source{{Title: "Settings for DB instances", URL: "https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Overview.DBInstance.Modifying.html"}}, Checked: "2026-02-01",
		},
		File: "entries/aws.yaml", Line: 12,
	}
}

// Knowledge implements [Librarian].
func (c *Client) Knowledge(ctx context.Context, q penumbra.KnowledgeQuery) ([]penumbra.KnowledgeEntry, error) {
	return collect(each(0, func(size int, cursor string) ([]penumbra.KnowledgeEntry, string, error) {
		var list knowledgeList
		err := c.get(ctx, "/v1/knowledge", params{}.text("id", q.ID).text("type", q.Type).text("path", q.Path).page(size, cursor), &list)
		return list.Entries, list.Next, err
	}))
}
