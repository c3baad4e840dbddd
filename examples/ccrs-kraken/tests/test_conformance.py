from ccrs_core.conformance import ConformanceSuite


class TestConformance(ConformanceSuite):
    exchange = "kraken"
