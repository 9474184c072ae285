package powerloss

import (
	"encoding/hex"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

type opKind int

const (
	opCreate opKind = iota
	opWrite
	opTruncate
	opRename
	opUnlink
	opSyncBegins
	opSynced
	opSyncFailed
	opSay
)

// op is one thing that a process did. Names are relative to the folder.
type op struct {
	kind     opKind
	thread   string
	name, to string
	offset   int // of a write; the size of a truncation
	data     []byte
}

// parser reads lines of strace, as -f -y -xx have them.
type parser struct {
	dir        string
	ops        []op
	unfinished map[string]string // what a thread has begun
	appended   map[string]int    // where plain writes of a file go on
}

var (
	call   = regexp.MustCompile(`^(\d+) +(\w+)\(`)
	resume = regexp.MustCompile(`^(\d+) +<\.\.\. (\w+) resumed>`)
	result = regexp.MustCompile(`\) += (-?\d+)`)
	quoted = regexp.MustCompile(`"((?:\\x[0-9a-f]{2})*)"`)
	opened = regexp.MustCompile(`^(\w+)<((?:\\x[0-9a-f]{2})*)>`)
)

const unfinishedMark = " <unfinished ...>"

// line reads one. Data counts from when it is given, a sync when it has returned, and
// all else that has succeeded from then.
func (p *parser) line(line string) error {
	if m := resume.FindStringSubmatch(line); m != nil {
		begun := p.unfinished[m[1]]
		delete(p.unfinished, m[1])
		if isWrite(m[2]) || begun == "" {
			return nil
		}
		return p.done(m[1], m[2], begun+line[len(m[0]):])
	}
	m := call.FindStringSubmatch(line)
	if m == nil {
		return nil // an exit, or a signal
	}
	thread, name, rest := m[1], m[2], line[len(m[0]):]
	if strings.HasSuffix(name, "sync") {
		if err := p.sync(thread, opSyncBegins, rest); err != nil {
			return err
		}
	}
	if begun, ok := strings.CutSuffix(rest, unfinishedMark); ok {
		p.unfinished[thread] = begun
		if isWrite(name) {
			return p.done(thread, name, begun+") = 0")
		}
		return nil
	}
	return p.done(thread, name, rest)
}

func isWrite(name string) bool { return name == "write" || name == "pwrite64" }

func (p *parser) done(thread, name, rest string) error {
	m := result.FindStringSubmatch(rest[strings.LastIndexByte(rest, '"')+1:])
	if m == nil {
		return nil // the process was killed in it
	}
	failed := strings.HasPrefix(m[1], "-")
	if strings.HasSuffix(name, "sync") {
		if failed {
			return p.sync(thread, opSyncFailed, rest)
		}
		return p.sync(thread, opSynced, rest)
	}
	if failed {
		return nil
	}
	switch name {
	case "write", "pwrite64":
		return p.write(name, rest)
	case "ftruncate":
		_, file, err := fd(rest)
		if err != nil {
			return err
		}
		size, err := number(rest[:strings.LastIndex(rest, ")")])
		if name, inside := p.inside(file); inside && err == nil {
			p.ops = append(p.ops, op{kind: opTruncate, name: name, offset: size})
		}
		return err
	}
	return p.named(name, rest)
}

// named reads the calls that have names: of one file, or of two.
func (p *parser) named(call, rest string) error {
	texts := quoted.FindAllStringSubmatchIndex(rest, -1)
	var names []string
	for _, at := range texts {
		text, err := unescape(rest[at[2]:at[3]])
		if err != nil {
			return err
		}
		if !filepath.IsAbs(text) { // of the folder that is named before
			before := strings.Split(rest[:at[0]], ", ")
			_, folder, err := fd(before[max(0, len(before)-2)])
			if err != nil {
				return err
			}
			text = filepath.Join(folder, text)
		}
		name, inside := p.inside(text)
		if !inside {
			return nil
		}
		names = append(names, name)
	}
	switch {
	case strings.HasPrefix(call, "open") && len(names) == 1:
		if strings.Contains(rest, "O_CREAT") {
			p.ops = append(p.ops, op{kind: opCreate, name: names[0]})
		}
		if strings.Contains(rest, "O_TRUNC") {
			p.ops = append(p.ops, op{kind: opTruncate, name: names[0]})
		}
	case strings.HasPrefix(call, "unlink") && len(names) == 1:
		p.ops = append(p.ops, op{kind: opUnlink, name: names[0]})
	case strings.HasPrefix(call, "rename") && len(names) == 2:
		p.ops = append(p.ops, op{kind: opRename, name: names[0], to: names[1]})
	default:
		return fmt.Errorf("%s of %d names: %.200s", call, len(names), rest)
	}
	return nil
}

func (p *parser) sync(thread string, kind opKind, rest string) error {
	_, file, err := fd(rest)
	if err != nil {
		return err
	}
	if name, inside := p.inside(file); inside {
		p.ops = append(p.ops, op{kind: kind, thread: thread, name: name})
	}
	return nil
}

func (p *parser) write(call, rest string) error {
	n, file, err := fd(rest)
	if err != nil {
		return err
	}
	// Not with an expression: that takes most of the time of a test.
	from, to := strings.IndexByte(rest, '"'), strings.LastIndexByte(rest, '"')
	if from == to {
		return fmt.Errorf("a write without data: %.200s", rest)
	}
	data, err := unescape(rest[from+1 : to])
	if err != nil {
		return err
	}
	name, inside := p.inside(file)
	switch {
	case n == "1":
		p.ops = append(p.ops, op{kind: opSay, data: []byte(data)})
		return nil
	case !inside:
		return nil
	case call == "write": // files that are written once, from their beginning
		if p.appended == nil {
			p.appended = make(map[string]int)
		}
		p.ops = append(p.ops, op{kind: opWrite, name: name, offset: p.appended[name], data: []byte(data)})
		p.appended[name] += len(data)
		return nil
	}
	offset, err := number(rest[:strings.LastIndex(rest, ")")])
	p.ops = append(p.ops, op{kind: opWrite, name: name, offset: offset, data: []byte(data)})
	return err
}

// inside returns the name below the folder, and whether there it is. The index of
// SQLite's log is mapped to memory, and made anew after a loss of power.
func (p *parser) inside(path string) (string, bool) {
	name, err := filepath.Rel(p.dir, path)
	return name, err == nil && !strings.HasPrefix(name, "..") && !strings.HasSuffix(name, "-shm")
}

// fd reads a file descriptor with its path.
func fd(s string) (n, path string, err error) {
	m := opened.FindStringSubmatch(s)
	if m == nil {
		return "", "", fmt.Errorf("no file descriptor in %.200s", s)
	}
	path, err = unescape(m[2])
	return m[1], path, err
}

// number reads the last argument.
func number(args string) (int, error) {
	return strconv.Atoi(strings.TrimSpace(args[strings.LastIndex(args, ",")+1:]))
}

func unescape(s string) (string, error) {
	b, err := hex.DecodeString(strings.ReplaceAll(s, `\x`, ""))
	return string(b), err
}
