package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/penumbra-iac/penumbra"
)

type startedRecording struct {
	ID string `json:"id" doc:"What its values are asked for by." example:"v-3f80"`
}

type recordingPath struct {
	ID string `path:"id" doc:"The recording's id." example:"v-3f80"`
}

type recordedQuery struct {
	ID    string `path:"id" doc:"The recording's id." example:"v-3f80"`
	After int64  `query:"after" minimum:"0" doc:"The last page that has arrived, 0 for none. The one before it gives the last page again." example:"41"`
}

func addRecording(a huma.API, s Recorder) {
	answer(a, route{http.MethodPost, "/v1/recordings", "start-recording", "timeline",
		"Record the values of metrics", "Keeps each value that is taken in from now on until it is asked for. A recording that is not asked for during a minute ends; a restart of the daemon ends all.",
		startedRecording{"v-3f80"},
	}, func(ctx context.Context, _ *none) (startedRecording, error) {
		id, err := s.StartRecording(ctx)
		return startedRecording{id}, err
	})
	answer(a, route{http.MethodGet, "/v1/recordings/{id}/values", "list-recorded-values", "timeline",
		"Values that a recording was given", "The page of values behind the one named, which is then forgotten; one that is lost on the way can be asked for again. If more is set there is a next one already. Values that came while 131,072 others waited are counted as missed.",
		exampleRecorded(),
	}, func(ctx context.Context, in *recordedQuery) (penumbra.RecordedValues, error) {
		page, err := s.RecordedValues(ctx, in.ID, in.After)
		page.Values, page.Missed = orEmpty(page.Values), orEmpty(page.Missed)
		return page, err
	})
	act(a, route{http.MethodDelete, "/v1/recordings/{id}", "end-recording", "timeline",
		"End a recording", "Drops what it was not asked for.", nil,
	}, func(ctx context.Context, in *recordingPath) error {
		return s.EndRecording(ctx, in.ID)
	})
}
