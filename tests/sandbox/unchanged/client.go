// Client fetches the pages that its arguments name, all at once and over one pool of connections, and prints them.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
)

func main() {
	answers := make(chan string)
	for _, url := range os.Args[1:] {
		go func() { answers <- fetch(url) }()
	}
	for range os.Args[1:] {
		fmt.Println(<-answers)
	}
}

func fetch(url string) string {
	response, err := http.Get(url)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err.Error()
	}
	return string(body)
}
