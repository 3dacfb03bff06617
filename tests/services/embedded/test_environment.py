import stat

from cryptography.fernet import Fernet

from services.embedded.environment import keep_secrets, plain_environment, read_environment, write_environment


def test_what_is_written_is_read_again_whatever_it_holds(tmp_path):
    variables = {"A": "plain", "B": "two words", "C": 'it\'s "quoted" $HOME `x` # no comment', "D": ""}
    write_environment(tmp_path / "env", variables)
    assert read_environment(tmp_path / "env") == variables


def test_comments_and_plain_lines_are_understood(tmp_path):
    (tmp_path / "env").write_text("# who\nexport A=1 # one\nB='2 3'\n\n")
    assert read_environment(tmp_path / "env") == {"A": "1", "B": "2 3"}
    assert read_environment(tmp_path / "absent") == {}


def test_secrets_are_made_once_and_readable_by_the_owner_only(tmp_path):
    path = tmp_path / "secrets.env"
    first = keep_secrets(path)
    assert keep_secrets(path) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    Fernet(first["CAUSEWAY_TOKEN_KEYS"])
    assert keep_secrets(tmp_path / "other.env")["CAUSEWAY_SECRET_KEY"] != first["CAUSEWAY_SECRET_KEY"]


def test_nothing_of_our_own_environment_leaks_into_a_process(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("https_proxy", "http://proxy")
    monkeypatch.setenv("CAUSEWAY_GRAPH_CLIENT_SECRET", "x")
    assert not {"AWS_SECRET_ACCESS_KEY", "https_proxy", "CAUSEWAY_GRAPH_CLIENT_SECRET"} & set(plain_environment())
