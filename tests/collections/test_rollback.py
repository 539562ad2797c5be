"""One job takes a publication back."""

from pinlanding_assets.collections.assets import rollback
from resources.site import SiteStore


def test_the_rollback_job_makes_the_version_before_live_again(tmp_path):
    site = SiteStore(root=str(tmp_path))
    first = site.publish([("index.html", b"<p>one</p>")])
    second = site.publish([("index.html", b"<p>two</p>")])
    assert site.current() == second != first
    assert rollback.execute_in_process(resources={"site": site}).success
    assert site.current() == first
    assert (tmp_path / "current" / "index.html").read_bytes() == b"<p>one</p>"
