// Prints the data of 20 events named `message`, as a library gives them: LIBRARY URL.
package main

import (
	"fmt"
	"net/http"
	"os"

	r3labs "github.com/r3labs/sse/v2"
	tmaxmax "github.com/tmaxmax/go-sse"
)

var left = 20

func take(data string) {
	fmt.Println(data)
	if left--; left == 0 {
		os.Exit(0)
	}
}

func main() {
	library, url := os.Args[1], os.Args[2]
	var err error
	if library == "r3labs-sse-whole" {
		err = r3labs.NewClient(url).SubscribeRaw(func(message *r3labs.Event) {
			if string(message.Event) == "message" {
				take(string(message.Data))
			}
		})
	} else {
		request, _ := http.NewRequest("GET", url, nil)
		connection := tmaxmax.DefaultClient.NewConnection(request)
		connection.SubscribeEvent("message", func(event tmaxmax.Event) { take(event.Data) })
		err = connection.Connect()
	}
	fmt.Println("FAILED:", err)
	os.Exit(1)
}
