import type { Pool } from './pool.js';

/**
 * Gives a role what the API and the worker need in this schema, and takes from it what they do not: it reads and appends
 * everywhere, changes and deletes rows where rows may be changed, empties and owns nothing. To be run by the owner, again
 * after each migration. The role has to be there.
 */
export async function grantService(pool: Pool, role: string): Promise<void> {
  const { rows } = await pool.query<{ statement: string }>(
    `WITH service AS (SELECT format('%I', $1::text) AS role, format('%I', current_schema()) AS schema),
     tables AS (
       SELECT c.relname, EXISTS (SELECT FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
                WHERE t.tgrelid = c.oid AND p.proname = 'refuse_change' AND t.tgtype & 16 > 0) AS immutable,
              c.relname = 'usage_events' AS placed
       FROM pg_class c
       WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
     )
     SELECT format('GRANT CONNECT ON DATABASE %I TO %s', current_database(), role) AS statement FROM service
     UNION ALL SELECT format('GRANT USAGE ON SCHEMA %s TO %s', schema, role) FROM service
     UNION ALL SELECT format('REVOKE ALL ON ALL TABLES IN SCHEMA %s FROM %s', schema, role) FROM service
     UNION ALL SELECT format('GRANT USAGE ON ALL SEQUENCES IN SCHEMA %s TO %s', schema, role) FROM service
     UNION ALL SELECT format('GRANT SELECT, INSERT%s ON %s.%I TO %s',
       CASE WHEN immutable THEN '' WHEN placed THEN ', UPDATE' ELSE ', UPDATE, DELETE' END, schema, relname, role)
     FROM tables, service`,
    [role],
  );
  for (const { statement } of rows) await pool.query(statement);
}
