package web

import (
	"html"
	"net/http"
	"strings"
	"testing"

	"centrifuge/access"
	"centrifuge/schedule"
)

// What figures are without is said on every page that shows some, with the names of
// Directors for colleagues only.
func TestWhatIsMissingIsSaid(t *testing.T) {
	f := shop()
	f.holders = []Holder{{Name: "director-2", QueueInfo: schedule.QueueInfo{Ready: 41}}}
	paths := []string{"/", "/destinations", "/sources", "/source?source=shop", "/queue?source=shop&destination=crm", "/do/pause?source=shop&destination=crm"}
	customer := access.Principal{Name: "c", Role: access.Viewer, Sources: []string{"shop"}, Customer: true}
	for _, missing := range [][]Missing{nil, {{Director: "director-9", Why: "no <answer>"}, {JobDB: "jobdb-000007", Why: "on its way"}}} {
		f.missing = missing
		s := newSite(t, f)
		for _, path := range paths {
			for _, part := range [][]string{nil, {"live"}} {
				status, content := s.as(t, access.Local()).get(path, part...)
				if status != http.StatusOK || strings.Contains(content, "figures are incomplete") != (missing != nil) {
					t.Errorf("%s %v, with %v missing: status %d: %s", path, part, missing, status, content)
				}
				for _, want := range []string{"Director director-9: no &lt;answer&gt;", "JobDB jobdb-000007: on its way"} {
					if strings.Contains(content, want) != (missing != nil) {
						t.Errorf("%s says %q: %t", path, want, missing == nil)
					}
				}
			}
		}
		if _, content := s.as(t, access.Local()).get("/queue?source=shop&destination=crm"); !strings.Contains(content, "director-2") || !strings.Contains(content, ">41<") {
			t.Errorf("the page of a queue does not say where it is: %s", content)
		}
		for _, path := range []string{"/", "/destinations", "/queue?source=shop&destination=crm"} {
			status, content := s.as(t, customer).get(path)
			if status != http.StatusOK || strings.Contains(content, "director-") || strings.Contains(content, "jobdb-") ||
				strings.Contains(content, "cannot be counted") != (missing != nil) {
				t.Errorf("%s for a customer, with %v missing: status %d: %s", path, missing, status, content)
			}
		}
	}
}

// Whom an order did not reach is said where it is given, and as long as it is followed.
func TestWhomAnOrderDidNotReach(t *testing.T) {
	f := shop()
	v := newSite(t, f).as(t, access.Local())
	for _, test := range []struct {
		reach Reach
		want  string
	}{
		{Reach{Directors: 1}, ""},
		{Reach{Directors: 3}, "All 3 Directors of the fleet obey."},
		{Reach{Directors: 2, Missing: []Missing{{Director: "director-9", Why: "gone"}}}, "2 Directors obeyed; not reached: director-9 (gone)."},
	} {
		f.reach = test.reach
		for verb, later := range map[string]string{"pause": "They learn of it", "retry": "Repeat it"} {
			v.get("/queue?source=shop&destination=crm")
			status, content := v.post("/do/"+verb, "source", "shop", "destination", "crm")
			if status != http.StatusOK || !strings.Contains(content, test.want) || strings.Contains(content, "Directors") != (test.want != "") ||
				strings.Contains(content, later) != (test.reach.Missing != nil) {
				t.Errorf("%s reached %+v: status %d: %s", verb, test.reach, status, content)
			}
			if _, next, ok := strings.Cut(content, `hx-get="`); ok {
				next, _, _ = strings.Cut(next, `"`)
				if _, content := v.get(html.UnescapeString(next)); !strings.Contains(content, test.want) {
					t.Errorf("%s, followed: %s", verb, content)
				}
			}
		}
	}
}
