// Reads a stream to its end with net/http: URL CODING. net/http decodes gzip, klauspost/compress decodes zstd.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
)

type event struct {
	Meta struct {
		Dt        time.Time
		Topic     string
		Partition int
		Offset    int64
	}
}

func main() {
	url, coding := os.Args[1], os.Args[2]
	request, err := http.NewRequest("GET", url, nil)
	check(err)
	if coding == "zstd" {
		request.Header.Set("Accept-Encoding", coding)
	}
	response, err := http.DefaultClient.Do(request)
	check(err)
	var body io.Reader = response.Body
	if coding == "zstd" {
		body, err = zstd.NewReader(body)
		check(err)
	} else if !response.Uncompressed {
		log.Fatal("not compressed")
	}
	lines, offsets := bufio.NewReader(body), map[string]int64{}
	count, late := 0, time.Duration(0)
	for {
		line, err := lines.ReadString('\n')
		if err == io.EOF {
			break
		}
		check(err)
		if !strings.HasPrefix(line, `data: {"$schema`) {
			continue
		}
		var read event
		check(json.Unmarshal([]byte(line[6:]), &read))
		count++
		if count > 20 {
			late = max(late, time.Since(read.Meta.Dt))
		}
		key := fmt.Sprint(read.Meta.Topic, " ", read.Meta.Partition)
		if next, known := offsets[key]; known && next != read.Meta.Offset {
			log.Fatalf("%s continues at %d, not at %d", key, read.Meta.Offset, next)
		}
		offsets[key] = read.Meta.Offset + 1
	}
	ok := ""
	if count >= 100 && late < 2*time.Second {
		ok = " ok"
	}
	fmt.Printf("%s, %d events, %.3f s late at most%s\n", runtime.Version(), count, late.Seconds(), ok)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
