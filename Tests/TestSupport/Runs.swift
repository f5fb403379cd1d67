public import Base
public import Training

/// An observer that asks to end after some steps.
public func observer(stoppingAt polls: Int = .max, lines: Locked<[String]> = Locked([]))
  -> TrainingObserver
{
  let count = AtomicCounter()
  return TrainingObserver(
    warn: { line in lines.withLock { $0.append("warning: " + line) } },
    say: { line in lines.withLock { $0.append(line) } }, progress: { _ in },
    isInterrupted: { count.take() >= polls })
}

/// What a body throws, where it is a failure of ours.
public func failure(_ body: () throws -> Void) -> Failure? {
  do {
    try body()
    return nil
  } catch {
    return error as? Failure
  }
}
