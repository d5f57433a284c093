package pydag

import (
	"context"
	"errors"
	"fmt"
	"sort"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// sandbox is one instance of the parser, with a memory of its own. After an error it
// must not be used again.
type sandbox struct {
	module api.Module
}

func newSandbox(ctx context.Context, runtime wazero.Runtime, code wazero.CompiledModule) (*sandbox, error) {
	m, err := runtime.InstantiateModule(ctx, code, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		return nil, fmt.Errorf("start the parser: %w", err)
	}
	return &sandbox{module: m}, nil
}

func (b *sandbox) close() { _ = b.module.Close(context.Background()) } // it has nothing open but memory

func (b *sandbox) memory() int { return int(b.module.Memory().Size()) }

// parse returns the parser's answer for a text; src/lib.rs gives its format.
func (b *sandbox) parse(ctx context.Context, text string, python int) ([]byte, error) {
	n := uint64(len(text))
	at, err := b.call(ctx, "alloc", max(n, 1))
	if err != nil {
		return nil, err
	}
	if !b.module.Memory().WriteString(uint32(at), text) {
		return nil, errors.New("the parser gave no room for the file")
	}
	length, err := b.call(ctx, "parse", at, n, uint64(python))
	if err != nil {
		return nil, err
	}
	from, err := b.call(ctx, "output")
	if err != nil {
		return nil, err
	}
	inside, ok := b.module.Memory().Read(uint32(from), uint32(length))
	if !ok {
		return nil, errOutput
	}
	answer := append([]byte(nil), inside...)
	_, err = b.call(ctx, "dealloc", at, max(n, 1))
	return answer, err
}

// call calls an exported function and returns its result, 0 without one.
func (b *sandbox) call(ctx context.Context, name string, args ...uint64) (uint64, error) {
	results, err := b.module.ExportedFunction(name).Call(ctx, args...)
	if err != nil || len(results) == 0 {
		return 0, err
	}
	return results[0], nil
}

// parsed takes the parser's answer for a text of size bytes apart: its errors by place,
// and the tree.
func parsed(b []byte, size int) ([]parserError, []node, error) {
	const head = 16
	if len(b) < 4 {
		return nil, nil, errOutput
	}
	n := int(word(b))
	b = b[4:]
	var found []parserError
	for range n {
		if len(b) < head || int(word(b[12:])) > len(b)-head {
			return nil, nil, errOutput
		}
		length := int(word(b[12:]))
		found = append(found, parserError{start: int(word(b[4:])), end: int(word(b[8:])), text: string(b[head : head+length])})
		b = b[head+length:]
	}
	sort.SliceStable(found, func(i, j int) bool { return found[i].start < found[j].start })
	nodes, err := tree(b, size)
	return found, nodes, err
}
