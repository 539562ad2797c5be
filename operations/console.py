"""What an operator does in the UI, by the same GraphQL: switch on, tick, launch, cancel, resume."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from operations.instance import Server

REPOSITORY_NAME, ASSET_JOB = "__repository__", "__ASSET_JOB"
LAUNCH_BACKFILL = """mutation($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) { __typename
    ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
LAUNCH_RUN = """mutation($params: ExecutionParams!) { launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } } } }"""
START_SCHEDULE = """mutation($selector: ScheduleSelector!) {
  startSchedule(scheduleSelector: $selector) { __typename ... on PythonError { message } } }"""
START_SENSOR = """mutation($selector: SensorSelector!) {
  startSensor(sensorSelector: $selector) { __typename ... on PythonError { message } } }"""
TICK = """mutation($selector: ScheduleSelector!, $at: Float!) {
  scheduleDryRun(selectorData: $selector, timestamp: $at) { __typename
    ... on PythonError { message }
    ... on DryRunInstigationTick { evaluationResult { skipReason error { message }
      runRequests { tags { key value } assetSelection { path } jobName } } } } }"""
JOB = """query($selector: ScheduleSelector!) {
  scheduleOrError(scheduleSelector: $selector) { __typename ... on Schedule { pipelineName } } }"""
CANCEL = """mutation($id: String!) { cancelPartitionBackfill(backfillId: $id) { __typename
    ... on PythonError { message } } }"""
RESUME = """mutation($id: String!) {
  reexecutePartitionBackfill(reexecutionParams: {parentRunId: $id, strategy: FROM_FAILURE}) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
STALE = """query($asset: AssetKeyInput!, $partitions: [String!]) {
  assetNodeOrError(assetKey: $asset) { ... on AssetNode {
    staleStatusByPartition(partitions: $partitions)
    staleCausesByPartition(partitions: $partitions) { category key { path } } } } }"""


class Refused(RuntimeError):
    """The server did not do what it was asked to."""


@dataclass
class Console:
    """The UI of a running server, without the browser."""

    live: Server

    def switch_on(
        self, location: str, *, schedules: Sequence[str] = (), sensors: Sequence[str] = ()
    ) -> None:
        """Start schedules and sensors."""
        for name in schedules:
            selector = _of(location) | {"scheduleName": name}
            self._ask("startSchedule", START_SCHEDULE, "ScheduleStateResult", selector=selector)
        for name in sensors:
            selector = _of(location) | {"sensorName": name}
            self._ask("startSensor", START_SENSOR, "Sensor", selector=selector)

    def tick(self, location: str, schedule: str, at: float) -> tuple[list[str], str]:
        """Tick a schedule as if it were `at` (s since 1970), and launch what it asks for.

        Returns:
            Ids of the runs, and why there are none.
        """
        selector = _of(location) | {"scheduleName": schedule}
        found = self._ask("scheduleDryRun", TICK, "DryRunInstigationTick", selector=selector, at=at)
        result = found["evaluationResult"]
        if result["error"]:
            raise Refused(result["error"]["message"])
        runs = [
            self.run(
                location,
                [one["path"][-1] for one in request["assetSelection"] or []],
                tags={tag["key"]: tag["value"] for tag in request["tags"]},
                job=request["jobName"]
                or (ASSET_JOB if request["assetSelection"] else self._job(selector)),
            )
            for request in result["runRequests"] or []
        ]
        return runs, result["skipReason"] or ""

    def run(
        self,
        location: str,
        assets: Sequence[str],
        *,
        tags: Mapping[str, str] | None = None,
        config: Mapping[str, Any] | None = None,
        job: str = ASSET_JOB,
    ) -> str:
        """Launch assets in one run; returns its id.

        Args:
            location: of the assets.
            assets: their names; none: all of the job.
            tags: of the run; a partition or a range is one.
            config: asset -> its run configuration.
            job: that the assets are launched by.
        """
        ops = {asset: {"config": values} for asset, values in (config or {}).items()}
        selected = {"assetSelection": [{"path": [asset]} for asset in assets]} if assets else {}
        params = {
            "selector": _of(location) | {"jobName": job} | selected,
            "mode": "default",
            "runConfigData": {"ops": ops} if ops else {},
            "executionMetadata": {
                "tags": [{"key": key, "value": value} for key, value in (tags or {}).items()]
            },
        }
        found = self._ask("launchRun", LAUNCH_RUN, "LaunchRunSuccess", params=params)
        return str(found["run"]["runId"])

    def backfill(self, assets: Sequence[str], partitions: Sequence[str], title: str) -> str:
        """Launch a backfill; returns its id."""
        params = {
            "assetSelection": [{"path": [asset]} for asset in assets],
            "partitionNames": list(partitions),
            "title": title,
        }
        found = self._ask(
            "launchPartitionBackfill", LAUNCH_BACKFILL, "LaunchBackfillSuccess", params=params
        )
        return str(found["backfillId"])

    def cancel(self, backfill: str) -> None:
        """Cancel a backfill and its runs."""
        self._ask("cancelPartitionBackfill", CANCEL, "CancelBackfillSuccess", id=backfill)

    def resume(self, backfill: str) -> str:
        """Launch what a backfill has not made; returns the id of the new backfill."""
        found = self._ask(
            "reexecutePartitionBackfill", RESUME, "LaunchBackfillSuccess", id=backfill
        )
        return str(found["backfillId"])

    def stale(self, asset: str, partitions: Sequence[str]) -> dict[str, set[str]]:
        """The partitions that the UI shows as out of date, with the assets that it names as why."""
        key = {"path": [asset]}
        node = self.live.query(STALE, asset=key, partitions=list(partitions))["assetNodeOrError"]
        causes = node["staleCausesByPartition"]
        return {
            day: {cause["key"]["path"][-1] for cause in why}
            for day, status, why in zip(
                partitions, node["staleStatusByPartition"], causes, strict=True
            )
            if status == "STALE"
        }

    def _job(self, schedule: dict[str, str]) -> str:
        found = self._ask("scheduleOrError", JOB, "Schedule", selector=schedule)
        return str(found["pipelineName"])

    def _ask(self, field: str, text: str, expected: str, **variables: Any) -> dict[str, Any]:
        found = self.live.query(text, **variables)[field]
        if found["__typename"] != expected:
            raise Refused(f"{field}: {found}")
        return found


def _of(location: str) -> dict[str, str]:
    return {"repositoryLocationName": location, "repositoryName": REPOSITORY_NAME}


def until(what: str, holds: Callable[[], Any], seconds: float, every: float = 1.0) -> Any:
    """Wait until something holds, and return it.

    Raises:
        TimeoutError: it did not within `seconds`; says what.
    """
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:.0f} s")
        time.sleep(every)
    return found
