import ArgumentParser
import Base
import Glibc

/// Parses the command line, runs the tool and exits: the only place that does.
///
/// Only our own failures are printed here. Help, version, completions and usage errors travel as
/// errors of swift-argument-parser too, and go back to it.
func runProgram<Root: ToolGroup>(_ root: Root.Type) -> Never {
  // A reader that has gone and a file size limit come back as errors of write.
  signal(SIGPIPE, SIG_IGN)
  signal(SIGXFSZ, SIG_IGN)
  Interruption.install()
  var command: any ParsableCommand
  do {
    command = try Root.parseAsRoot(Root.expand(Array(CommandLine.arguments.dropFirst())))
    guard command is any Tool else {
      try command.run()
      leave(0)
    }
  } catch let failure as Failure {
    // There are no options yet that could say how it is printed.
    let line = "\(Root.tool.program): \(failure.description)\n"
    _ = line.withCString { write(STDERR_FILENO, $0, strlen($0)) }
    leave(failure.kind.rawValue)
  } catch {
    Root.exit(withError: error)
  }
  guard let tool = command as? any Tool else { leave(0) }
  let run = ToolRun(type(of: tool).tool, tool.common)
  RunMonitor.current = RunMonitor(
    progress: { run.progress($0) }, warn: { run.warnOnce($0) },
    check: { try run.checkInterrupted() })
  ThreadBudget.limit = tool.common.threads
  do {
    try tool.execute(run)
    try closeStandardOutput()
    leave(run, nil)
  } catch is BrokenPipe {
    leave(run, nil)
  } catch let failure as Failure {
    leave(run, failure)
  } catch  where error is ValidationError || error is CleanExit || error is ExitCode {
    ExternalCommand.endAll()
    TemporaryFiles.deleteAll()
    run.doLastAct()
    Root.exit(withError: error)
  } catch {
    leave(run, Failure.unexpected(error))
  }
}

/// Says how a run ended, and ends the process.
private func leave(_ run: ToolRun, _ failure: Failure?) -> Never {
  let code = run.end(failure)
  TemporaryFiles.deleteAll()
  run.doLastAct()
  leave(code)
}

/// A late write error (a quota, a network file system) shows only when the descriptor is closed.
private func closeStandardOutput() throws {
  fflush(nil)
  guard close(STDOUT_FILENO) == 0 || errno == EBADF else {
    throw Failure.systemCall("write", "standard output", writing: true, code: errno)
  }
}

/// Ends the process at once: other threads may still be blocked in a read.
private func leave(_ code: Int32) -> Never {
  ExternalCommand.endAll()
  TemporaryFiles.deleteAll()
  fflush(nil)
  _exit(code)
}
