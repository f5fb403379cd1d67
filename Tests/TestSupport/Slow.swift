import Foundation

/// Whether tests that take minutes run too: `TTS_SLOW=1`, as `make check-slow` sets it.
public let runsSlowTests = ProcessInfo.processInfo.environment["TTS_SLOW"] != nil
