package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
)

//go:embed static templates
var embedded embed.FS

// files are what pages load: styles, scripts and the icon. Each is asked for
// under a name that changes with what is in it, so browsers may keep it for good.
type files struct {
	byPath map[string]file // by "vendor/htmx.min.js"
}

type file struct {
	content []byte
	kind    string
	tag     string
}

func loadFiles() (*files, error) {
	f := &files{byPath: map[string]file{}}
	err := fs.WalkDir(embedded, "static", func(name string, d fs.DirEntry, err error) error {
		kind := mime.TypeByExtension(path.Ext(name))
		if err != nil || d.IsDir() || kind == "" || strings.HasSuffix(name, ".md") {
			return err
		}
		content, err := embedded.ReadFile(name)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(content)
		f.byPath[strings.TrimPrefix(name, "static/")] = file{content: content, kind: kind, tag: hex.EncodeToString(sum[:8])}
		return nil
	})
	return f, err
}

// url is where a page finds the file.
func (f *files) url(name string) (string, error) {
	found, ok := f.byPath[name]
	if !ok {
		return "", fmt.Errorf("no file %s is embedded", name)
	}
	return "/static/" + name + "?v=" + found.tag, nil
}

func (f *files) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	found, ok := f.byPath[r.PathValue("name")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", found.kind)
	w.Header().Set("ETag", `"`+found.tag+`"`)
	if r.URL.Query().Get("v") == found.tag {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		w.Header().Set("Cache-Control", "no-cache")
	}
	http.ServeContent(w, r, "", zeroTime, bytes.NewReader(found.content))
}
