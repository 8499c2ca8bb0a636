package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// maxFile bounds what is read, in bytes; a cluster of ten thousand servers stays far below it.
const maxFile = 16 << 20

// document is one file being read: where every path was seen, and what was wrong.
type document struct {
	file  string
	lines map[string]int
	errs  Errors
}

// node is a value of our own that reads itself from a YAML scalar or list.
type node interface {
	fromYAML(n *yaml.Node) error
}

// defaulter sets the defaults of a struct before the file's values go over them.
type defaulter interface{ defaults() }

// problem is an error of fromYAML that carries its remedy.
type problem struct{ reason, remedy string }

func (p *problem) Error() string { return p.reason }

// readFile reads a bounded file.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if len(b) > maxFile {
		return nil, fmt.Errorf("read %s: larger than %d bytes; this is not a configuration file", path, maxFile)
	}
	return b, nil
}

// decode reads text into out, a pointer to a struct, and returns the document
// for validation. Whatever is wrong is in its errs.
func decode(file string, text []byte, out any) *document {
	d := &document{file: file, lines: map[string]int{}}
	dec := yaml.NewDecoder(strings.NewReader(string(text)))
	var root yaml.Node
	switch err := dec.Decode(&root); {
	case errors.Is(err, io.EOF):
		d.errs = append(d.errs, &Error{File: file, Reason: "the file is empty"})
		return d
	case err != nil:
		d.syntax(err)
		return d
	}
	var second yaml.Node
	if err := dec.Decode(&second); !errors.Is(err, io.EOF) {
		if err != nil {
			d.syntax(err)
			return d
		}
		d.errs = append(d.errs, &Error{File: file, Line: second.Line, Reason: "a second document", Remedy: "one file holds one document"})
		return d
	}
	if root.Kind != yaml.DocumentNode || len(root.Content) != 1 {
		d.errs = append(d.errs, &Error{File: file, Reason: "the file is empty"})
		return d
	}
	d.value(root.Content[0], reflect.ValueOf(out).Elem(), "")
	return d
}

var yamlLine = form(`^yaml: (?:line (\d+): )?(.*)`)

var parserError = form(`^did not find expected (',' or '[\]}]'|key$|'-' indicator|node content|<)`)

// syntax reports what the YAML parser said, with its line in our form.
func (d *document) syntax(err error) {
	e := &Error{File: d.file, Reason: "not YAML: " + err.Error()}
	if m := yamlLine().FindStringSubmatch(strings.ReplaceAll(err.Error(), "\n", " ")); m != nil {
		e.Line, _ = strconv.Atoi(m[1])
		if parserError().MatchString(m[2]) {
			e.Line++ // the parser, unlike the scanner, counts lines from 0
		}
		e.Reason = "not YAML: " + m[2]
	}
	d.errs = append(d.errs, e)
}

// fail records an error at a path that was read, or at the nearest parent that was.
func (d *document) fail(path, remedy, reason string, args ...any) {
	line, at := 0, path
	for {
		if l, ok := d.lines[at]; ok {
			line = l
			break
		}
		i := strings.LastIndexAny(at, ".[")
		if i < 0 {
			line = d.lines[""]
			break
		}
		at = at[:i]
	}
	d.errs = append(d.errs, &Error{File: d.file, Line: line, Path: path, Reason: fmt.Sprintf(reason, args...), Remedy: remedy})
}

// value reads one YAML node into v.
func (d *document) value(n *yaml.Node, v reflect.Value, path string) {
	if _, ok := d.lines[path]; !ok {
		d.lines[path] = n.Line
	}
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		d.fail(path, "write the value out", "anchors and aliases are not supported")
		return
	}
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
		d.fail(path, "give a value or remove the key", "has no value")
		return
	}
	if c, ok := v.Addr().Interface().(node); ok {
		if err := c.fromYAML(n); err != nil {
			d.wrong(path, err)
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		if done, err := wellKnown(n, v); done {
			if err != nil {
				d.wrong(path, err)
			}
			return
		}
		d.mapping(n, v, path)
	case reflect.Slice:
		d.sequence(n, v, path)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.value(n, v.Elem(), path)
	default:
		if err := scalar(n, v); err != nil {
			d.wrong(path, err)
		}
	}
}

func (d *document) wrong(path string, err error) {
	var p *problem
	if errors.As(err, &p) {
		d.fail(path, p.remedy, "%s", p.reason)
		return
	}
	d.fail(path, "", "%s", err.Error())
}

// mapping reads a struct; its fields carry `yaml:"key"` and, where the key must
// be there, `need:"yes"`.
func (d *document) mapping(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		d.fail(path, "write keys and values", "is %s where a mapping belongs", kindName(n))
		return
	}
	if def, ok := v.Addr().Interface().(defaulter); ok {
		def.defaults()
	}
	fields, names := map[string]int{}, []string{}
	for i := range v.NumField() {
		if name := v.Type().Field(i).Tag.Get("yaml"); name != "" {
			fields[name] = i
			names = append(names, name)
		}
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, val := n.Content[i], n.Content[i+1]
		at := join(path, key.Value)
		if first, ok := seen[key.Value]; ok {
			d.lines[at] = key.Line
			d.fail(at, "remove one of them", "the key is given twice, first in line %d", first)
			continue
		}
		seen[key.Value] = key.Line
		f, ok := fields[key.Value]
		if !ok || key.Kind != yaml.ScalarNode {
			d.lines[at] = key.Line
			d.fail(at, "known here: "+strings.Join(names, ", "), "unknown key")
			continue
		}
		d.lines[at] = key.Line // a block value starts below its key; the key is where an operator looks
		d.value(val, v.Field(f), at)
	}
	for _, name := range names {
		if _, ok := seen[name]; !ok && v.Type().Field(fields[name]).Tag.Get("need") != "" {
			d.fail(join(path, name), "add the key", "is missing")
		}
	}
}

func (d *document) sequence(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.SequenceNode {
		d.fail(path, "write a list: [a, b]", "is %s where a list belongs", kindName(n))
		return
	}
	list := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		d.value(item, list.Index(i), fmt.Sprintf("%s[%d]", path, i))
	}
	v.Set(list)
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func kindName(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	}
	switch n.ShortTag() {
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "a truth value"
	}
	return "text"
}
