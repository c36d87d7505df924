package plan

import (
	"errors"
	"os"
	"strconv"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// fileEntry is one setting of a configuration file.
type fileEntry struct {
	key    string
	values []string      // more than one for a list
	list   bool          // it is one
	where  string        // file:line
	maps   [][]fileEntry // of a list of mappings
	places []string      // file:line of each of these
	fields []fileEntry   // of a mapping
}

// readFile reads the YAML of --config: a mapping from flag names, without the
// dashes, to a text, number, truth value or list of these; source may have a list of
// mappings with the settings of one source each, and profiles has one with those of one
// profile each. A command line may be given as a list of words under its flag's name only where the flag itself
// is repeatable; elsewhere it is one text.
//
// Whether a key is a setting is for the caller to say, who knows the flags.
func readFile(path string) ([]fileEntry, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, wrong(flagConfig, "", "%s: %v", path, reason(err))
	}
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, syntaxError(path, err)
	}
	var entries []fileEntry
	seen := map[string]string{}
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		pairs, ok := mapping(doc.Body)
		if !ok {
			return nil, wrong(nil, "write one setting a line, as in region: eu-west-1",
				"%s: not a mapping of settings", place(path, doc.Body))
		}
		more, err := entriesOf(path, "", pairs, seen)
		if err != nil {
			return nil, err
		}
		entries = append(entries, more...)
	}
	return entries, nil
}

// syntaxError keeps the parser's reason and place, without its drawing of the
// source lines: they may hold what should not be printed.
func syntaxError(path string, err error) error {
	var syntax interface {
		GetMessage() string
		GetToken() *token.Token
	}
	if !errors.As(err, &syntax) {
		return wrong(nil, "", "%s: not YAML", path)
	}
	return wrong(nil, "", "%s: %s", placeOf(path, syntax.GetToken()), syntax.GetMessage())
}

const notSimple = "%s: %s: not a text, a number, true or false, or a list of these"

func mapping(n ast.Node) ([]*ast.MappingValueNode, bool) {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	}
	return nil, false
}

// entriesOf are those of a mapping below the key in. seen is where each that came before is set.
func entriesOf(path, in string, pairs []*ast.MappingValueNode, seen map[string]string) (entries []fileEntry, err error) {
	for _, pair := range pairs {
		e, err := entry(path, in, pair)
		if err != nil {
			return nil, err
		}
		if first, twice := seen[e.key]; twice {
			return nil, wrong(nil, "", "%s: %s is set already at %s", e.where, e.key, first)
		}
		seen[e.key] = e.where
		entries = append(entries, e)
	}
	return entries, nil
}

// keyProfiles and keyForEach are no flags: lists of mappings and a mapping have no place on a
// command line.
const (
	keyProfiles = "profiles"
	keyForEach  = "for-each"
	keyName     = "name"
)

// nests tells which keys may have a list of mappings, and where.
func nests(in, key string) bool {
	return key == flagSource.Name && (in == "" || in == keyProfiles) || key == keyProfiles && in == ""
}

func entry(path, in string, pair *ast.MappingValueNode) (fileEntry, error) {
	e := fileEntry{key: pair.Key.GetToken().Value, where: place(path, pair.Key)}
	nodes := []ast.Node{pair.Value}
	sequence, list := pair.Value.(*ast.SequenceNode)
	if e.list = list; list {
		nodes = sequence.Values
	}
	if pairs, ok := mapping(pair.Value); ok && in == keyProfiles && e.key == keyForEach {
		var err error
		e.fields, err = entriesOf(path, keyForEach, pairs, map[string]string{})
		return e, err
	}
	for _, n := range nodes {
		switch n := n.(type) {
		case *ast.StringNode:
			e.values = append(e.values, n.Value)
		case *ast.LiteralNode:
			e.values = append(e.values, n.Value.Value)
		case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
			e.values = append(e.values, n.GetToken().Value)
		case *ast.MappingNode, *ast.MappingValueNode:
			if !list || !nests(in, e.key) {
				return e, wrong(nil, "", notSimple, place(path, n), e.key)
			}
			pairs, _ := mapping(n)
			one, err := entriesOf(path, e.key, pairs, map[string]string{})
			if err != nil {
				return e, err
			}
			e.maps, e.places = append(e.maps, one), append(e.places, place(path, n))
		default:
			return e, wrong(nil, "", notSimple, place(path, n), e.key)
		}
	}
	return e, nil
}

func place(path string, n ast.Node) string { return placeOf(path, n.GetToken()) }

func placeOf(path string, t *token.Token) string {
	if t == nil || t.Position == nil {
		return path
	}
	return path + ":" + strconv.Itoa(t.Position.Line)
}
