"""Monitors, what they saw, and the rules that judge it."""

from __future__ import annotations

from monitors.models.drill import Drill, DrillPlan, DrillPlanState
from monitors.models.heartbeat import HeartbeatPing
from monitors.models.location import ControlTarget, LocationState
from monitors.models.maintenance import MaintenanceWindow
from monitors.models.monitor import Assertion, Monitor
from monitors.models.result import CheckResult, HourlyRollup, ResultDetail
from monitors.models.series import Sample, Series
from monitors.models.state import MonitorState, ProbeSlot, StatusInterval
from monitors.models.threshold import Threshold, ThresholdState

__all__ = [
    "Assertion",
    "CheckResult",
    "ControlTarget",
    "Drill",
    "DrillPlan",
    "DrillPlanState",
    "HeartbeatPing",
    "HourlyRollup",
    "LocationState",
    "MaintenanceWindow",
    "Monitor",
    "MonitorState",
    "ProbeSlot",
    "ResultDetail",
    "Sample",
    "Series",
    "StatusInterval",
    "Threshold",
    "ThresholdState",
]
