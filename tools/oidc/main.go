// Command oidc is an OpenID provider for tests: zitadel/oidc's, with users and their
// groups from a file that is read again at each use. It listens on the loopback only,
// prints its issuer and serves until its standard input ends.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// person is a user with what the provider says of them.
type person struct {
	storage.User
	Groups []string
}

// people are the users in a file, by identifier.
type people struct{ file string }

func (p people) read() map[string]*person {
	text, err := os.ReadFile(p.file)
	users := map[string]*person{}
	if err == nil {
		err = json.Unmarshal(text, &users)
	}
	if err != nil {
		log.Printf("read the users: %v", err)
	}
	for id, u := range users {
		u.ID = id
	}
	return users
}

func (p people) GetUserByID(id string) *storage.User {
	if u := p.read()[id]; u != nil {
		return &u.User
	}
	return nil
}

func (p people) GetUserByUsername(name string) *storage.User {
	for _, u := range p.read() {
		if u.Username == name {
			return &u.User
		}
	}
	return nil
}

func (people) ExampleClientID() string { return storage.ServiceUserID }

// store adds the groups to what is told of a user.
type store struct {
	*storage.Storage
	people people
}

func (s *store) SetUserinfoFromToken(ctx context.Context, info *oidc.UserInfo, tokenID, subject, origin string) error {
	if err := s.Storage.SetUserinfoFromToken(ctx, info, tokenID, subject, origin); err != nil {
		return err
	}
	if u := s.people.read()[subject]; u != nil && u.Groups != nil {
		info.AppendClaims("groups", u.Groups)
	}
	return nil
}

func main() {
	users := flag.String("users", "", "file of users: {ID: {Username, Password, Email, EmailVerified, Groups}}")
	client := flag.String("client", "penumbra", "identifier of the client")
	secret := flag.String("secret", "secret", "secret of the client")
	redirect := flag.String("redirect", "", "where the client may be sent back to, separated by commas")
	flag.Parse()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	issuer := fmt.Sprintf("http://127.0.0.1:%d/", listener.Addr().(*net.TCPAddr).Port)
	storage.RegisterClients(storage.WebClient(*client, *secret, strings.Split(*redirect, ",")...))
	known := people{*users}
	handler := exampleop.SetupServer(issuer, &store{storage.NewStorage(known), known}, nil, false)
	fmt.Println(issuer)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	log.Fatal(http.Serve(listener, handler))
}
