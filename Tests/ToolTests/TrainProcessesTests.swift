import Base
import Foundation
import Glibc
import TestSupport
import Testing

/// Whether several processes can be started together.
private let hasMPI: Bool = {
  let folders = ProcessInfo.processInfo.environment["PATH"]?.split(separator: ":") ?? []
  return folders.contains { access($0 + "/mpirun", X_OK) == 0 }
}()

private let needsMPI = ConditionTrait.enabled(if: hasMPI, "mpirun (openmpi-bin) is not installed")

extension TrainTests {
  /// A run of so many processes; of one it is started plainly.
  private func start(
    _ processes: Int, _ run: String, _ more: [String] = [], timeLimit: Double = 120
  ) throws -> RunningProcess {
    let words = arguments(run, ["--accumulate", "4"] + more)
    if processes == 1 {
      return try RunningProcess(
        toolPath("tts-train"), words, directory: folder.path, timeLimit: timeLimit)
    }
    return try RunningProcess(
      "mpirun",
      ["--allow-run-as-root", "--oversubscribe", "-n", "\(processes)", toolPath("tts-train")]
        + words, directory: folder.path, timeLimit: timeLimit)
  }

  /// The processes that a launcher has started, in the order of their ranks.
  private func ranks(of launcher: RunningProcess) -> [Int32] {
    let all = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
    return all.compactMap { Int32($0) }.sorted().filter { process in
      // After the name in brackets: the state, the parent.
      let stat = (try? readFile("/proc/\(process)/stat")) ?? []
      let fields =
        String(decoding: stat, as: UTF8.self).components(separatedBy: ") ").last?
        .split(separator: " ") ?? []
      return fields.count > 1 && Int32(fields[1]) == launcher.identifier
        && String(decoding: stat, as: UTF8.self).contains("(tts-train)")
    }
  }

  private func wait(_ seconds: Double = 60, until isReady: () -> Bool) {
    let end = Date().addingTimeInterval(seconds)
    while !isReady(), Date() < end { usleep(2000) }
  }

  /// All files of a run but its log and its events, which tell the time.
  private func content(_ run: String) throws -> [String: SHA256Digest] {
    let names = try FileManager.default.subpathsOfDirectory(atPath: folder.file(run))
    let files = names.filter {
      $0 != "progress.jsonl" && !["best", "checkpoints"].contains($0) && !$0.hasPrefix("events")
    }
    return Dictionary(
      uniqueKeysWithValues: try files.map {
        ($0, SHA256Digest(of: try folder.read(run + "/" + $0)))
      })
  }

  /// The log without what depends on the clock and the machine, and without checkpoints.
  private func progress(_ run: String) throws -> [JSON] {
    try folder.read(run + "/progress.jsonl").split(separator: 10).compactMap { line in
      var object = try #require(try JSON.parse(Array(line)).object)
      for name in ["time", "seconds", "world_size"] { object[name] = nil }
      return object["type"] == "checkpoint" ? nil : .object(object)
    }
  }

  @Test(needsMPI, .timeLimit(.minutes(5))) func processesMakeTheSameRun() throws {
    let whole = try start(1, "whole", ["--keep-best"]).wait()
    #expect(whole.code == 0, "\(whole.errors)")
    let expected = try content("whole")
    #expect(expected.count > 10)
    for processes in [2, 4] {
      let result = try start(processes, "of-\(processes)", ["--keep-best"]).wait()
      #expect(result.code == 0, "\(result.errors)")
      #expect(try content("of-\(processes)") == expected)
      #expect(try progress("of-\(processes)") == progress("whole"))
    }

    // One of them dies: all end, and others go on.
    let killed = try start(4, "killed", ["--keep-best"])
    wait { trainLines("killed") >= 13 }
    let victims = ranks(of: killed)
    #expect(victims.count == 4)
    kill(victims.last ?? 0, SIGKILL)
    #expect(killed.wait().code != 0)
    let rest = try start(2, "killed", ["--keep-best", "--resume"]).wait()
    #expect(rest.code == 0, "\(rest.errors)")
    #expect(try content("killed") == expected)

    // All are asked to stop through the launcher.
    let asked = try start(2, "asked", ["--keep-best"])
    wait { trainLines("asked") >= 3 }
    asked.signal(SIGUSR1)
    let answer = asked.wait()
    #expect(answer.code == 75 && trainLines("asked") < 40, "\(answer.errors)")

    // One of them is asked to stop: all do, with a checkpoint.
    let stopped = try start(2, "stopped", ["--keep-best", "--report", "report.json"])
    wait { trainLines("stopped") >= 3 }
    kill(ranks(of: stopped).last ?? 0, SIGTERM)
    let result = stopped.wait()
    #expect(result.code == 75, "\(result.errors)")
    #expect(result.errors.components(separatedBy: "interrupted; run").count == 2)
    #expect(try JSON.parse(folder.read("report.json"))["exit_code"] == 75)
    let steps = trainLines("stopped")
    #expect(
      steps < 40 && folder.has("stopped/checkpoints/000000\(steps < 10 ? "0" : "")\(steps).json"))
    #expect(try start(4, "stopped", ["--keep-best", "--resume"]).wait().code == 0)
    #expect(try weights("stopped") == weights("whole"))
    #expect(try progress("stopped") == progress("whole"))
  }

  @Test(needsMPI, .timeLimit(.minutes(2))) func whatGoesWrongInProcessesIsSaidOnce() throws {
    func fails(
      _ processes: Int, _ code: Int32, _ word: String, _ more: [String]
    ) throws {
      let result = try start(processes, "bad", ["-q"] + more).wait()
      #expect(result.code == code, "\(result.errors)")
      let lines = result.errors.split(separator: "\n").filter { $0.hasPrefix("tts-train: ") }
      #expect(lines.count == 1 && lines[0].contains(word), "\(result.errors)")
    }
    try fails(3, 64, "power of two", [])
    try fails(2, 64, "--accumulate 3", ["--accumulate", "3"])
    try fails(2, 66, "none.ttsr", ["--train", "none.ttsr"])
    try fails(2, 65, "not finite", ["--lr", "1000", "--warmup", "0", "--clip", "0"])
    #expect(folder.has("bad/run.json"))
    try fails(2, 73, "already", [])
  }

  @Test(
    needsMPI, .enabled(if: runsSlowTests), .timeLimit(.minutes(30)), .serialized,
    arguments: [1, 2, 4])
  func aRunThatIsKilledTwentyTimesEndsWithTheSameBytes(processes: Int) throws {
    let more = ["--steps", "200", "--keep-best", "--resume", "-T", "1"]
    #expect(try start(1, "whole", more).wait().code == 0)
    let expected = try content("whole")
    var random = RandomNumbers(seed: UInt64(processes), name: "kills")
    // A moment is soon after a random step; soon after the start where that step had been made.
    for step in (0..<20).map({ _ in random.index(below: 180) }).sorted() {
      let job = try start(processes, "killed", more)
      var victims: [Int32] = []
      wait {
        victims = processes == 1 ? [job.identifier] : ranks(of: job)
        return victims.count == processes && trainLines("killed") >= step
      }
      usleep(UInt32(random.index(below: 60_000)))
      kill(victims[random.index(below: processes)], SIGKILL)
      let result = job.wait()
      #expect(result.code == 128 + SIGKILL, "after step \(step): \(result.errors)")
    }
    let last = try start(processes, "killed", more).wait()
    #expect(last.code == 0, "\(last.errors)")
    #expect(try content("killed") == expected)
    #expect(try progress("killed") == progress("whole"))
  }

  @Test func aLauncherOfAnotherKindIsNoticed() throws {
    let result = try runTool(
      "tts-train", arguments("never"), environment: ["OMPI_COMM_WORLD_SIZE": "2"],
      directory: folder.path)
    #expect(result.code == 69 && result.errors.contains("MPI"), "\(result.errors)")
    #expect(result.errors.split(separator: "\n").count == 1 && !folder.has("never"))
    // A job of one is no job.
    let one = try runTool(
      "tts-train", arguments("one", ["--steps", "1"]), environment: ["OMPI_COMM_WORLD_SIZE": "1"],
      directory: folder.path)
    #expect(one.code == 0, "\(one.errors)")
  }

  @Test func processorsThatMayNotBeUsedDoNotCount() throws {
    let words = arguments("bound", ["--steps", "1", "--report", "bound.json"]).map { "'\($0)'" }
    let result = try runShell(
      """
      first=$(taskset -cp $$ | sed 's/.*: //; s/[-,].*//')
      exec taskset -c "$first" tts-train \(words.joined(separator: " "))
      """, directory: folder.path)
    #expect(result.code == 0, "\(result.errors)")
    #expect(try JSON.parse(folder.read("bound.json"))["threads"] == 1)
  }

  @Test func theInterfaceOfOpenMPIIsThatOfItsHeader() throws {
    let check = try runShell(
      """
      pkg-config --exists ompi-c || exit 0
      cc -std=c11 -fsyntax-only -Wall -Werror -DCMPI_CHECK -I Sources/CMPI/include \
        $(pkg-config --cflags ompi-c) Sources/CMPI/CMPI.c
      """, directory: packageFolder)
    #expect(check.code == 0, "\(check.errors)")
  }
}
