CREATE ROLE app LOGIN PASSWORD 'sample';
CREATE TABLE turns (id int PRIMARY KEY, body text NOT NULL);
INSERT INTO turns SELECT n, 'turn ' || n FROM generate_series(1, 1000) n;
GRANT ALL ON turns TO app;
GRANT CREATE ON SCHEMA public TO app;
