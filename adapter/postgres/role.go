package postgres

import (
	_ "embed"
	"strings"

	"github.com/jackc/pgx/v5"
)

//go:embed role.sql
var roleSQL string

// RoleSQL returns the script that makes the role that [Server.Read] needs: it
// may read settings and the configuration files, and nothing else that PUBLIC
// may not. A superuser runs it in the database that Penumbra connects to.
func RoleSQL(name string) string {
	return strings.ReplaceAll(roleSQL, "{{role}}", pgx.Identifier{name}.Sanitize())
}
