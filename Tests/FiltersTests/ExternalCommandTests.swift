import Base
import Foundation
import TestSupport
import Testing

@testable import Filters

@Suite struct ExternalCommandTests {
  private func answer(
    _ text: String, _ files: [String] = ["a b.wav"], timeout: Double = 20
  ) throws -> String {
    try ExternalCommand(text, option: "--asr", files: files.count, timeout: timeout)
      .answer(for: files)
  }

  private func failure(_ text: String, timeout: Double = 20) -> Failure? {
    do {
      _ = try answer(text, timeout: timeout)
      return nil
    } catch {
      return error as? Failure
    }
  }

  @Test func filesAreArgumentsOrStandInPlaces() throws {
    #expect(try answer("printf '%s|' x") == "x|a b.wav|")
    #expect(try answer("printf '%s|' {} x") == "a b.wav|x|")
    #expect(try answer("printf '%s|'", ["1", "$HOME 'q'"]) == "1|$HOME 'q'|")
    #expect(try answer("printf '%s|' {}.. -{}", ["1", "2"]) == "1..|-2|")
    #expect(try answer("echo {} | tr a-z A-Z") == "A B.WAV\n")
    // It reads nothing, and a blank line is an answer.
    #expect(try answer("cat - ; echo; true") == "\n")
    for text in ["", " ", "x {} {}"] {
      #expect(throws: Failure.self) {
        try ExternalCommand(text, option: "--asr", files: 1, timeout: 1)
      }
    }
    #expect(throws: Failure.self) {
      try ExternalCommand("x {}", option: "--similarity", files: 2, timeout: 1)
    }
  }

  @Test func failuresSayWhatHappened() {
    let code = failure("echo half; echo 'no model' >&2; echo >&2; exit 3 #")
    #expect(code?.kind == .unavailable)
    #expect(code?.subject == "--asr")
    #expect(code?.problem.hasSuffix("ended with exit code 3: no model") == true)
    #expect(failure("no-such-command-here")?.problem.contains("exit code 127: ") == true)
    #expect(failure("kill -9 $$ #")?.problem.hasSuffix("ended by signal 9") == true)
    #expect(failure("true")?.problem == "'true' printed nothing")
    let flood = failure("head -c 1000000 /dev/zero #")
    #expect(flood?.problem.hasSuffix("printed more than 64 KiB") == true)
    // Messages of any length do not stop it.
    #expect((try? answer("head -c 1000000 /dev/zero >&2; echo yes #")) == "yes\n")
  }

  @Test(arguments: [
    "sleep 60 #", "echo half; sleep 60 #", "exec 1>&- 2>&-; sleep 60 #", "sleep 60 & wait #",
    "trap '' TERM INT HUP; sleep 60 #", "sleep 60 & echo done #",
  ]) func hangsEnd(_ text: String) {
    let start = Date()
    let hang = failure(text, timeout: 0.3)
    #expect(
      hang?.problem.hasSuffix("did not end within 0.3 s") == true, "\(String(describing: hang))")
    #expect(Date().timeIntervalSince(start) < 10)
  }

  @Test func manyAtATimeDoNotMeet() {
    let answers = Locked<Set<String>>([])
    DispatchQueue.concurrentPerform(iterations: 16) { index in
      let text = try? answer("sleep 0.05; echo {}", ["\(index)"])
      answers.withLock { _ = $0.insert(text ?? "none") }
    }
    #expect(answers.withLock { $0 } == Set((0..<16).map { "\($0)\n" }))
  }
}
