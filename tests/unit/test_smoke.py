from redis_trio.protocol.reply import OK


def test_set_and_get(run):
    assert run("SET k v") is OK
    assert run("get k") == b"v"
