#!/usr/bin/env python3
"""What TensorBoard reads from a folder of event files, as JSON: scalars and sound by tag and step.

Usage: read_events.py FOLDER    (needs the package tensorboard)
"""
import hashlib
import json
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

events = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0, "audio": 0}, purge_orphaned_data=True)
events.Reload()
tags = events.Tags()
json.dump(
    {
        "scalars": {tag: [[e.step, e.value] for e in events.Scalars(tag)] for tag in tags["scalars"]},
        "audio": {
            tag: [
                [e.step, int(e.sample_rate), e.length_frames, hashlib.sha256(e.encoded_audio_string).hexdigest()]
                for e in events.Audio(tag)
            ]
            for tag in tags["audio"]
        },
    },
    sys.stdout,
)
