import Base
import Foundation
import TestSupport
import Testing

/// What every tool does the same way.
@Suite struct ToolContract {
  @Test func thereAreTools() { #expect(!ToolUnderTest.all.isEmpty) }

  @Test(arguments: ToolUnderTest.all)
  func helpShowsExamplesFirst(_ tool: ToolUnderTest) throws {
    #expect(!tool.commands.isEmpty, "\(tool.name) describes no command")
    for command in tool.commands {
      let result = try runTool(tool.name, command.words + ["--help"])
      #expect(result.code == 0)
      #expect(result.errors.isEmpty)
      let text = result.text
      let usage = try #require(text.range(of: "USAGE:"), "\(tool.name) \(command.words)")
      let example = text.range(of: "EXAMPLES:")
      #expect(
        example.map { $0.lowerBound < usage.lowerBound } == true,
        "\(tool.name) \(command.words.joined(separator: " ")) --help shows no examples first")
    }
  }

  @Test(arguments: ToolUnderTest.all)
  func versionIsOneLine(_ tool: ToolUnderTest) throws {
    let result = try runTool(tool.name, ["--version"])
    #expect(result.code == 0)
    #expect(result.text.hasPrefix("\(tool.name) (ttstools) "))
    #expect(result.text.split(separator: "\n").count == 1)
  }

  @Test(arguments: ToolUnderTest.all)
  func anUnknownOptionIsAUsageError(_ tool: ToolUnderTest) throws {
    let result = try runTool(tool.name, ["--no-such-option"])
    #expect(result.code == 64)
    #expect(result.output.isEmpty)
    #expect(!result.errors.isEmpty)
  }

  @Test(arguments: ToolUnderTest.all)
  func theManualNamesEveryLongOption(_ tool: ToolUnderTest) throws {
    let page = "\(packageFolder)/man/\(tool.name).1"
    let data = try #require(FileManager.default.contents(atPath: page), "no man/\(tool.name).1")
    // In mdoc, "Fl -long" or "\-\-long": only the name itself matters.
    let text = String(decoding: data, as: UTF8.self).replacingOccurrences(of: "\\-", with: "-")
    for command in tool.commands {
      for option in command.longOptions.subtracting(["help", "version"]) {
        #expect(
          text.contains("-\(option)"),
          "man/\(tool.name).1 says nothing of --\(option)")
      }
    }
  }

  @Test(arguments: ToolUnderTest.all)
  func nothingIsPrintedWithoutAReason(_ tool: ToolUnderTest) throws {
    // A tool without input, behind a closed pipe, ends by itself and with one of our codes.
    let result = try runTool(tool.name, [], timeLimit: 20)
    #expect(!result.timedOut)
    #expect([0, 64, 65, 66, 74, 78].contains(result.code), "code \(result.code)")
    #expect(!result.errors.contains("Fatal error"))
  }
}
