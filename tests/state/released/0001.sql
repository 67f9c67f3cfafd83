INSERT INTO environments (name, lineage, serial) VALUES
    ('default', '11111111-2222-3333-4444-555555555555', 7), ('prod', '66666666-7777-8888-9999-000000000000', 1);
INSERT INTO resources (environment, kind, name, uid, spec, metadata, fingerprint, inputs, status, facts, outcome, error,
    source, "commit", created_at, updated_at) VALUES
    ('default', 'Dataset', 'tickets', 'uid-1', '{"type": "project_csv", "location": "data/tickets.csv"}',
     '{"name": "tickets"}', 'aa', '{}', 'ready', '{"rows": 40}', '{}', '', 'all.yaml:1', 'abc',
     '2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z'),
    ('default', 'FineTuningJob', 'train', 'uid-2', '{"num_epochs": 2}', '{"name": "train", "protect": true}', 'bb',
     '{"Dataset/tickets": "aa"}', 'failed', '{}', '{"run_key": "k"}', 'out of memory', 'all.yaml:9', 'abc-dirty',
     '2026-01-01T00:00:00Z', '2026-01-03T00:00:00Z');
INSERT INTO artifacts (kind, fingerprint, output, run_key, run_dir, mlflow_run_id, mlflow_experiment_id, seconds,
    resources, created_at) VALUES
    ('FineTuningJob', 'bb', '{"task": "training", "adapter": "out"}', 'k', '.studio/runs/k', 'm', '1', 61.5,
     '{"cpu": 2}', '2026-01-02T00:00:00Z');
INSERT INTO runs ("key", attempt, environment, kind, name, fingerprint, backend, status, handle, error, submitted_at,
    finished_at) VALUES
    ('k', 1, 'default', 'FineTuningJob', 'train', 'bb', 'local', 'failed', '{"pid": 7}', 'out of memory',
     '2026-01-02T00:00:00Z', '2026-01-02T00:01:00Z'),
    ('k', 2, 'default', 'FineTuningJob', 'train', 'bb', 'local', 'submitted', '{}', '', '2026-01-03T00:00:00Z', '');
INSERT INTO operations (id, environment, command, actor, "commit", started_at, finished_at, outcome, summary) VALUES
    ('op-1', 'default', 'apply', 'octocat', 'abc', '2026-01-02T00:00:00Z', '2026-01-02T00:02:00Z', 'failed',
     '{"FineTuningJob/train": "failed"}');
INSERT INTO leases (environment, holder, token, expires_at) VALUES
    ('default', 'process 7 on build-7 since 2026-01-02 00:00:00 UTC', 3, 0.0),
    ('prod', 'process 8 on build-8 since 2026-01-02 00:00:00 UTC', 9, 99999999999.0);
