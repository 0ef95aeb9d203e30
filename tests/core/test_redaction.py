from risexp.core.redaction import MASK, redacted, redacted_address, secrets_of


def test_an_address_is_shown_without_its_secrets() -> None:
    for address, shown in (
        ("http://me:planted@host:5000/mlflow", "http://host:5000/mlflow"),
        ("https://host", "https://host"),
        ("https://host/?token=planted", "https://host/"),
        ("postgresql+psycopg://me:planted@host:5432/db", "postgresql+psycopg://me@host:5432/db"),
        ("postgresql://h/db?sslmode=require&password=planted", "postgresql://h/db?sslmode=require"),
        ("postgresql://me@/db?host=/run/pg", "postgresql://me@/db?host=/run/pg"),
        ("sqlite:////home/me/mlflow.db", "sqlite:////home/me/mlflow.db"),
        ("host", "host"),
        ("me:planted@host", MASK),
    ):
        assert shown == redacted_address(address)


def test_text_that_looks_like_a_secret_is_masked() -> None:
    for text in (
        'password = "planted-secret"',
        "+    api_key='planted-secret'",
        "-db_password: planted-secret1",
        "MLFLOW_TRACKING_TOKEN=planted-secret1",
        "postgresql://me:planted-secret@host/db",
        "https://planted-secret@host/",
        "Authorization: Bearer planted-secret-0123456789",
        "AKIAPLANTEDSECRET012",
        "ghp_plantedsecret0123456789012345678901",
        "hf_plantedsecret012345678901234",
        "glpat-plantedsecret0123456",
        "sk-plantedsecret0123456789",
        "eyJwbGFudGVk.eyJzZWNyZXQi.c2lnbmF0dXJl",
        "-----BEGIN RSA PRIVATE KEY-----\nplanted-secret\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nplanted-secret",
    ):
        clean = redacted(text)

        assert MASK in clean
        for part in ("planted", "PLANTED", "eyJwb"):
            assert part not in clean


def test_other_text_is_left_as_it_is() -> None:
    for text in (
        "+    token = tokens[0]",
        "+    name = secrets.token_hex(3)",
        " risexp.space_sha = 0f9a3b",
        "password: the word that opens it",
        "http://host:5000/#/experiments/1/runs/abc",
        "training.optimizer.lr: 0.001",
    ):
        assert text == redacted(text)


def test_values_of_the_environment_are_known_by_their_names() -> None:
    environment = {
        "MLFLOW_TRACKING_PASSWORD": "planted-one",
        "GITHUB_TOKEN": "planted-second",
        "DATABASE": "postgresql://me:planted-third@host/db",
        "HOME": "/home/me",
        "SHORT_KEY": "abc",
    }

    found = secrets_of(environment)

    assert ("planted-second", "planted-third", "planted-one") == found
    assert "a *** b *** c" == redacted("a planted-one b planted-third c", found)
