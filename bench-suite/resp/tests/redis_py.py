"""redis-py against a running nyala-resp, whose port is the argument."""

import sys
import time

import redis


def check(protocol: int, port: int) -> None:
    client = redis.Redis(port=port, protocol=protocol, client_name="tester", decode_responses=True)
    client.flushall()
    assert client.ping()
    assert client.client_getname() == "tester"
    assert client.set("greeting", "hello")
    assert client.get("greeting") == "hello" and client.get("none") is None
    assert client.set("greeting", "x", nx=True) is None
    assert client.set("greeting", "y", get=True) == "hello"
    assert client.set("session", "1", ex=100) and 99 <= client.ttl("session") <= 100
    assert client.getex("session", px=50_000) == "1" and client.pttl("session") <= 50_000
    assert client.expire("session", 10, gt=True) == 0 and client.persist("session")
    end = int(time.time()) + 100
    assert client.expireat("session", end) and client.expiretime("session") == end
    assert client.incr("n", 41) == 41 and client.decr("n") == 40
    assert client.incrbyfloat("f", 1.5) == 1.5
    assert client.append("greeting", "!") == 2 and client.strlen("greeting") == 2
    assert client.mset({"a": 1, "b": 2}) and client.mget("a", "none", "b") == ["1", None, "2"]
    assert client.type("a") == "string" and client.exists("a", "b", "none") == 2
    assert client.getset("a", 3) == "1" and client.getdel("a") == "3"
    assert client.delete("b", "none") == 1 and client.unlink("none") == 0
    client.mset({f"k:{number}": number for number in range(1000)})
    assert len(set(client.scan_iter("k:*", count=50))) == 1000
    assert len(client.keys("k:99?")) == 10
    with client.pipeline(transaction=False) as pipeline:
        for number in range(1000):
            pipeline.set(f"p:{number}", number).get(f"p:{number}").incr("count")
        replies = pipeline.execute()
    assert replies[::3] == [True] * 1000
    assert replies[1::3] == [str(number) for number in range(1000)]
    assert replies[2::3] == list(range(1, 1001))
    assert client.dbsize() == len(client.keys())
    assert client.info()["redis_version"] == "7.0.0" and client.info("memory")["maxmemory"] > 0
    assert client.config_get("maxmemory*")["maxmemory-policy"] == "noeviction"
    assert any(entry["name"] == "tester" for entry in client.client_list())
    assert client.client_id() > 0 and client.command_count() > 40
    assert client.command()["get"]["arity"] == 2
    value = bytes(range(256)) * 1000
    binary = redis.Redis(port=port, protocol=protocol)
    assert binary.set(b"\x00\xff", value) and binary.get(b"\x00\xff") == value
    try:
        client.incr("greeting")
    except redis.ResponseError as error:
        assert str(error) == "value is not an integer or out of range"
    else:
        raise AssertionError("text was counted")


for version in (2, 3):
    check(version, int(sys.argv[1]))
print("redis-py works")
