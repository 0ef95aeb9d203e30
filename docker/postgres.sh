#!/bin/sh
# Makes a cluster with its roles and databases once, as a whole, and serves it at PGPORT.
# Told by the environment: PGDATA, PGPORT, LISTEN (addresses), SECRETS (a folder).
set -eu
umask 077
if [ ! -e "${PGDATA}/PG_VERSION" ]; then
    new="${PGDATA}.new"
    rm -rf "${new}" # of a start that did not come to its end
    initdb --pgdata="${new}" --username=admin --pwfile="${SECRETS}/admin_password" \
        --auth=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 --data-checksums >/dev/null
    cat >"${new}/pg_hba.conf" <<HBA
host  all      admin            127.0.0.1/32  scram-sha-256
host  studies  studies,watcher  samenet       scram-sha-256
host  mlflow   mlflow           samenet       scram-sha-256
HBA
    # Nobody listens yet: roles come with verifiers, their passwords never get here.
    postgres --single -D "${new}" -c exit_on_error=on postgres \
        <"${SECRETS}/roles.sql" >/dev/null
    postgres --single -D "${new}" -c exit_on_error=on studies >/dev/null <<SQL
ALTER DEFAULT PRIVILEGES FOR ROLE studies IN SCHEMA public GRANT SELECT ON TABLES TO watcher
SQL
    mv "${new}" "${PGDATA}"
fi
exec postgres -D "${PGDATA}" \
    -c listen_addresses="${LISTEN}" -c unix_socket_directories='' -c max_connections=200
