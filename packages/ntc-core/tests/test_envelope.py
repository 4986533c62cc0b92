from ntc_core.testing import assert_error, assert_success


def test_hello(api_client):
    assert assert_success(api_client.get("/api/v1/hello/")) == {"hello": "world"}


def test_unknown_url(api_client):
    assert_error(api_client.get("/api/v1/nope/"), 404, "not_found")
