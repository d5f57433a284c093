package main

import (
	"encoding/binary"
	"math/rand/v2"
	"strconv"
)

// Templates: $w stands for a word, $i for an identifier, and $ with digits for
// a number below those. Of several, one is taken at random each time.

const pythonHead = `"""$w $w $w DAG."""
from __future__ import annotations

from datetime import datetime, timedelta

from airflow import DAG
from airflow.operators.python import PythonOperator
from airflow.providers.postgres.hooks.postgres import PostgresHook

default_args = {
    "owner": "$w",
    "retries": $5,
    "retry_delay": timedelta(minutes=$30),
}

`

const functionHead = `def $i($i, $i=None, **context):
    """$w $w the $w of $w and $w.

    $w $w $w $w $w $w.
    """
    hook = PostgresHook(postgres_conn_id="$i")
`

var statements = []string{
	"    $i = hook.get_records(\"select $i, $i from $w.$i where $w > %s\", parameters=($i,))\n",
	"    for row in $i:\n        if row[$9] is None or row[$9] < $100000:\n            continue\n        $i.append(row[\"$i\"])\n",
	"    $i = {key: value for key, value in $i.items() if value != \"$w\"}\n",
	"    # $w $w $w $w $w\n    context[\"ti\"].xcom_push(key=\"$i\", value=len($i))\n",
	"    if not $i:\n        raise ValueError(f\"$w $w: {$i!r}\")\n",
	"    $i = $i($i, timeout=$3600)\n",
}

var blocks = []string{
	`with DAG(
    dag_id="$i",
    default_args=default_args,
    schedule="$60 $24 * * *",
    start_date=datetime(202$6, 1, 1) + timedelta(days=$365),
    catchup=False,
    tags=["$w", "$w"],
) as dag:
    $i = PythonOperator(task_id="$i", python_callable=$i)
    $i = PythonOperator(task_id="$i", python_callable=$i)
    $i >> $i

`,
	`$i = [
    ("$i", "$w", $1000000),
    ("$i", "$w", $1000000),
    ("$i", "$w", $1000000),
    ("$i", "$w", $1000000),
]

`,
	`class $w$w:
    $i: str
    $i: int = $1000

    def __init__(self, $i: str, $i: int) -> None:
        self.$i = $i
        self.$i = $i

`,
	"# $w $w $w $w $w $w $w $w $w\n",
}

var queries = []string{`-- $w $w $w
INSERT INTO $w.$i ($i, $i, $i)
SELECT
    COALESCE(a.$i, b.$i, $1000) AS $i,
    COALESCE(a.$i, b.$i, $1000) AS $i,
    COALESCE(a.$i, b.$i, $1000) AS $i,
    1
FROM $w.$i AS a
LEFT JOIN $w.$i AS b ON a.$i = b.$i
WHERE a.$i >= CURRENT_DATE - $365;

`}

var tables = []string{`$i:
  owner: $w
  schedule: "$60 $24 * * *"
  tables:
    - name: $i
      key: $i
      rows: $10000000
    - name: $i
      key: $i
      rows: $10000000
`}

var records = []string{`  {"id": $1073741824, "name": "$i", "source": "$i", "target": {"schema": "$w", "table": "$i"}, "hash": $4294967295},
`}

func (t *text) python(size int) {
	t.write(pythonHead)
	for t.Len() < size {
		if t.rand.IntN(5) > 0 {
			t.write(t.one(blocks))
			continue
		}
		t.write(functionHead)
		for range 1 + t.rand.IntN(10) {
			t.write(t.one(statements))
		}
		t.write("    return $i\n\n\n")
	}
}

func (t *text) repeat(size int, templates []string) {
	for t.Len() < size {
		t.write(t.one(templates))
	}
}

func (t *text) one(templates []string) string { return templates[t.rand.IntN(len(templates))] }

// write writes a template filled in.
func (t *text) write(template string) {
	for i := 0; i < len(template); i++ {
		switch next := template[i:]; {
		case template[i] != '$':
			t.WriteByte(template[i])
		case next[1] == 'w':
			t.WriteString(t.word())
			i++
		case next[1] == 'i':
			t.WriteString(t.identifier())
			i++
		default:
			digits := 1
			for next[1+digits] >= '0' && next[1+digits] <= '9' {
				digits++
			}
			below, _ := strconv.Atoi(next[1 : 1+digits]) // the templates are right
			t.WriteString(strconv.Itoa(t.rand.IntN(below)))
			i += digits
		}
	}
}

func (t *text) word() string { return t.words[t.zipf.Uint64()] }

func (t *text) identifier() string {
	if t.rand.IntN(4) == 0 {
		return t.word()
	}
	return t.word() + "_" + t.word()
}

// binary writes bytes that compress a little, like a library.
func (t *text) binary(size int) {
	block := make([]byte, 0, 4096)
	for t.Len() < size {
		block = block[:0]
		for len(block) < cap(block) {
			block = binary.LittleEndian.AppendUint64(block, t.rand.Uint64())
		}
		t.Write(block)
		if t.rand.IntN(6) == 0 {
			t.Write(block[:2048])
		}
	}
	t.Truncate(size)
}

// makeWords returns a vocabulary; the first words are used most.
func makeWords(r *rand.Rand) []string {
	syllables := []string{
		"ba", "con", "da", "ex", "fi", "ger", "ha", "in", "jo", "ka", "li", "mo", "nu", "or", "pa", "qu", "re", "sta", "tra", "ul",
		"ver", "wo", "xe", "yi", "zon", "cust", "ord", "pay", "ship", "dim", "fact", "load", "ing", "tab", "col", "key", "src", "tgt",
	}
	seen := map[string]bool{}
	var words []string
	for len(words) < 6000 {
		word := ""
		for range 2 + r.IntN(3) {
			word += syllables[r.IntN(len(syllables))]
		}
		if !seen[word] {
			seen[word] = true
			words = append(words, word)
		}
	}
	return words
}
