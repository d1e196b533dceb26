package postgres

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/penumbra-iac/penumbra"
)

// failure turns an error of the driver or the server into one that says what
// follows from it. The codes are of the manual's appendix A.
func (s *Server) failure(err error) error {
	out := &penumbra.Error{Kind: penumbra.Unavailable, What: s.where(), Err: errors.New(penumbra.Redact(err.Error()))}
	var pg *pgconn.PgError
	switch {
	case errors.Is(err, errRights):
		out.Kind, out.Remedy = penumbra.Refused, s.grants("GRANT pg_read_all_settings TO %")
	case errors.Is(err, context.Canceled):
		out.Err = context.Canceled
	case !errors.As(err, &pg):
		out.Remedy = "see that the server runs and can be reached from here"
	case pg.Code == "42501": // insufficient_privilege
		out.Kind = penumbra.Refused
		out.Remedy = s.grants("GRANT pg_read_all_settings TO %",
			"GRANT EXECUTE ON FUNCTION pg_catalog.pg_show_all_file_settings() TO %",
			"GRANT SELECT ON pg_catalog.pg_file_settings TO %")
		if strings.Contains(pg.Message, "database") { // CONNECT was taken from PUBLIC
			out.Remedy = s.grants("GRANT CONNECT ON DATABASE " + pgx.Identifier{s.connect.Database}.Sanitize() + " TO %")
		}
	case strings.HasPrefix(pg.Code, "28"): // invalid_authorization_specification
		out.Kind, out.Remedy = penumbra.Refused, "let the role sign in: its password in ~/.pgpass, LOGIN, and a line in pg_hba.conf"
	case pg.Code == "3D000": // invalid_catalog_name
		out.Kind, out.Remedy = penumbra.Invalid, "name a database that exists, such as postgres"
	case pg.Code == "57014": // query_canceled
		out.Remedy = "the server is too slow for the timeout, or somebody cancelled the query"
	case strings.HasPrefix(pg.Code, "42"): // an older server lacks what is asked for
		out.Kind, out.Remedy = penumbra.Invalid, "PostgreSQL 10 or later is needed"
	}
	return out
}

// grants returns the statements with the role's name in the place of %.
func (s *Server) grants(statements ...string) string {
	text := strings.Join(statements, "; ") + ";"
	return "run as a superuser in database " + s.connect.Database + ": " +
		strings.ReplaceAll(text, "%", pgx.Identifier{s.connect.User}.Sanitize())
}
