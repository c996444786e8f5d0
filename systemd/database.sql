-- Roles and database of Scoresheet, for psql as PostgreSQL's superuser. Can be run again at any time.
\set ON_ERROR_STOP on
SELECT 'CREATE ROLE scoresheet LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'scoresheet') \gexec
-- The API's, through PgBouncer, whose connections can't carry settings of their own.
ALTER ROLE scoresheet SET statement_timeout = '10s';
ALTER ROLE scoresheet SET idle_in_transaction_session_timeout = '30s';
ALTER ROLE scoresheet SET transaction_timeout = '60s';
-- Migrations and backups: acts as scoresheet from its first statement, so what it makes is scoresheet's, without limits.
SELECT 'CREATE ROLE scoresheet_migrate LOGIN IN ROLE scoresheet'
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'scoresheet_migrate') \gexec
ALTER ROLE scoresheet_migrate SET role = 'scoresheet';
-- Sorting must not depend on the host's C library, whose updates would break indexes.
SELECT 'CREATE DATABASE scoresheet OWNER scoresheet TEMPLATE template0 ENCODING UTF8'
       ' LOCALE_PROVIDER builtin BUILTIN_LOCALE ''C.UTF-8'' LOCALE ''C'''
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'scoresheet') \gexec
