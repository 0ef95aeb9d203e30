#!/bin/sh
# Creates a cluster with its roles and databases once, all of it or nothing, and serves it at PGPORT.
# Environment: PGDATA, PGPORT, LISTEN (addresses), SECRETS (a folder).
set -eu
umask 077
if [ ! -e "${PGDATA}/PG_VERSION" ]; then
    new="${PGDATA}.new"
    rm -rf "${new}" # of an interrupted start
    initdb --pgdata="${new}" --username=admin --pwfile="${SECRETS}/admin_password" \
        --auth=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 --data-checksums >/dev/null
    cat >"${new}/pg_hba.conf" <<HBA
host  all      admin            127.0.0.1/32  scram-sha-256
host  studies  studies,watcher  samenet       scram-sha-256
host  mlflow   mlflow           samenet       scram-sha-256
HBA
    # The server does not listen yet. It hashes the passwords, and logs no statement that fails.
    postgres --single -D "${new}" -c exit_on_error=on -c password_encryption=scram-sha-256 \
        -c log_statement=none -c log_min_error_statement=panic postgres \
        <"${SECRETS}/roles.sql" >/dev/null
    postgres --single -D "${new}" -c exit_on_error=on studies >/dev/null <<SQL
ALTER DEFAULT PRIVILEGES FOR ROLE studies IN SCHEMA public GRANT SELECT ON TABLES TO watcher
SQL
    mv "${new}" "${PGDATA}"
fi
exec postgres -D "${PGDATA}" \
    -c listen_addresses="${LISTEN}" -c unix_socket_directories='' -c max_connections=200
