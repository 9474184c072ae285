package rpc

import (
	"context"
	"strings"
	"testing"
	"time"

	"centrifuge"
	"centrifuge/archive"
	"centrifuge/director"
	"centrifuge/fanout"
	"centrifuge/jobdb"
)

type fakeSearch struct {
	*fake
	found director.SearchPage
}

func (s *fakeSearch) Search(context.Context, director.JobFilter, string, int, time.Duration) (director.SearchPage, []fanout.Missing, error) {
	return s.found, nil, nil
}

// Whoever may not act is not shown what looks like a secret, nor may guess at it.
func TestSecretsAreForOperators(t *testing.T) {
	const endpoint = "https://e.example/?token=hush"
	backend := &fake{
		get: func(id centrifuge.ID) (jobdb.Trace, error) {
			return jobdb.Trace{Job: centrifuge.Job{
				ID: id, Source: "shop", Endpoint: endpoint, Headers: []centrifuge.Header{{Name: "Authorization", Value: "Bearer hush"}},
			}}, nil
		},
		page: archive.Page{Entries: []archive.Entry{{Endpoint: endpoint}}},
	}
	backends := backend.backends()
	backends.Search = &fakeSearch{fake: backend, found: director.SearchPage{Jobs: []director.Found{{Endpoint: endpoint}}}}
	address := serve(t, Options{Backends: backends, Tokens: openTokens(t, kindsFile())})
	id := centrifuge.ID{1}
	for _, kind := range []string{"viewer", "viewer:shop", "operator", "operator:shop", "admin"} {
		sees := !strings.HasPrefix(kind, "viewer")
		call := func(procedure, request string) (int, string) {
			status, _, content := post(t, address, "/centrifuge.v1."+procedure, request, "Authorization", "Bearer "+secret(kind))
			return status, content
		}
		for procedure, request := range map[string]string{
			"JobService/Get": `{"id": "` + id.String() + `"}`, "ArchiveService/List": `{"filter": {"source": "shop"}}`,
			"VisibilityService/Search": `{"source": "shop"}`,
		} {
			if status, content := call(procedure, request); status != 200 || strings.Contains(content, "hush") != sees {
				t.Errorf("%s by %s: status %d: %s", procedure, kind, status, content)
			}
		}
		for procedure, request := range map[string]string{
			"ArchiveService/List":      `{"filter": {"source": "shop", "endpoint": "https://e.example/?token=h*"}}`,
			"VisibilityService/Search": `{"source": "shop", "endpoint": "https://e.example/?token=h*"}`,
		} {
			if status, content := call(procedure, request); (status == 200) != sees {
				t.Errorf("%s of a secret by %s: status %d: %s", procedure, kind, status, content)
			}
		}
	}
}
