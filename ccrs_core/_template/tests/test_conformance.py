from ccrs_core.conformance import ConformanceSuite


class TestMyExchange(ConformanceSuite):
    exchange = "my-exchange"
