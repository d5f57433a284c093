package hostile

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"sync"
	"testing"
)

var zeros = sync.OnceValue(func() []byte {
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	mustCopy(zip, io.LimitReader(nothing{}, 64<<20))
	mustClose(zip)
	return out.Bytes()
})

type nothing struct{}

func (nothing) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func mustCopy(w io.Writer, r io.Reader) {
	if _, err := io.Copy(w, r); err != nil {
		panic(err)
	}
}

func mustClose(c io.Closer) {
	if err := c.Close(); err != nil {
		panic(err)
	}
}

func gzipped(raw []byte) []byte {
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	mustCopy(zip, bytes.NewReader(raw))
	mustClose(zip)
	return out.Bytes()
}

func tarHead(name string, size int64) []byte {
	var out bytes.Buffer
	if err := tar.NewWriter(&out).WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: size}); err != nil {
		panic(err)
	}
	return out.Bytes()
}

func bombOfOneFile(*testing.T) []byte {
	return append(gzipped(tarHead("dags/zeros.bin", 10<<30)), bytes.Repeat(zeros(), 160)...)
}

func bombAfterTheEnd(*testing.T) []byte {
	file := append(tarHead("dags/a.py", 1), make([]byte, 512)...)
	return append(gzipped(file), bytes.Repeat(zeros(), 160)...)
}

func lyingTar(*testing.T) []byte {
	return gzipped(append(tarHead("dags/a.py", 4<<30), "airflow DAG"...))
}

func lyingZip(*testing.T) []byte {
	var packed bytes.Buffer
	deflate, err := flate.NewWriter(&packed, flate.BestSpeed)
	if err != nil {
		panic(err)
	}
	mustCopy(deflate, io.LimitReader(nothing{}, 64<<20))
	if err := deflate.Flush(); err != nil {
		panic(err)
	}
	block := packed.Bytes()
	body := append(bytes.Repeat(block, 160), 1, 0, 0, 0xff, 0xff)
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	f, err := w.CreateRaw(&zip.FileHeader{
		Name: "dags/zeros.bin", Method: zip.Deflate, CRC32: crc32.ChecksumIEEE(make([]byte, 10)),
		CompressedSize64: uint64(len(body)), UncompressedSize64: 10,
	})
	if err != nil {
		panic(err)
	}
	mustCopy(f, bytes.NewReader(body))
	mustClose(w)
	return out.Bytes()
}

func millionFiles(*testing.T) []byte {
	var out bytes.Buffer
	zip, err := gzip.NewWriterLevel(&out, gzip.BestSpeed)
	if err != nil {
		panic(err)
	}
	for n := range 1_000_000 {
		mustCopy(zip, bytes.NewReader(tarHead(fmt.Sprintf("dags/%07d.py", n), 0)))
	}
	mustCopy(zip, bytes.NewReader(make([]byte, 1024)))
	mustClose(zip)
	return out.Bytes()
}

func millionZipped(*testing.T) []byte {
	const n = 1_000_000
	var out, central bytes.Buffer
	for i := range n {
		name := fmt.Sprintf("dags/%07d.py", i)
		at := uint32(out.Len())
		out.WriteString("PK\x03\x04")
		fields := make([]byte, 26) // empty, stored
		fields[0] = 20
		binary.LittleEndian.PutUint16(fields[22:], uint16(len(name)))
		out.Write(fields)
		out.WriteString(name)
		central.WriteString("PK\x01\x02\x14\x00")
		central.Write(fields)
		tail := make([]byte, 14)
		binary.LittleEndian.PutUint32(tail[10:], at)
		central.Write(tail)
		central.WriteString(name)
	}
	start, size := uint64(out.Len()), uint64(central.Len())
	mustCopy(&out, &central)
	end := out.Len()
	le := binary.LittleEndian
	record := append([]byte("PK\x06\x06"), le.AppendUint64(nil, 44)...)
	record = append(record, 45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	for _, v := range []uint64{n, n, size, start} {
		record = le.AppendUint64(record, v)
	}
	record = append(record, "PK\x06\x07\x00\x00\x00\x00"...)
	record = le.AppendUint64(record, uint64(end))
	record = append(record, 1, 0, 0, 0)
	record = append(record, "PK\x05\x06\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00"...)
	out.Write(record)
	return out.Bytes()
}
