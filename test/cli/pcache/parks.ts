import pg from 'pg'

/** The query that the tests ask: regions 0 and 3 of `poi` have parks. */
export const PARKS = "SELECT * FROM poi WHERE type = 'park'"

/** Make the table that it reads. */
export async function makeParks(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query(`CREATE TABLE poi (id int, region_id int, type text);
    INSERT INTO poi SELECT i, i % 7, CASE WHEN i % 7 IN (0, 3) THEN 'park' ELSE 'cafe' END FROM generate_series(1, 100) AS i`)
  await client.end()
}
