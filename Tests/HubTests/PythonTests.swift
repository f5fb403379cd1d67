import Base
import Foundation
import TestSupport
import Testing

@testable import Hub

/// The Python that has huggingface_hub, where one is named (`TTS_REFERENCE_PYTHON`).
private let reference = ProcessInfo.processInfo.environment["TTS_REFERENCE_PYTHON"]

@Suite(.enabled(if: reference != nil)) struct PythonTests {
  private let downloads: Downloads

  init() throws { downloads = try Downloads() }

  /// What huggingface_hub's download gives for a name.
  private func download(_ name: String, _ environment: [String: String] = [:]) throws -> String {
    let file = try HubPath(name)
    let script = """
      import sys
      from huggingface_hub import hf_hub_download
      print(hf_hub_download(repo_id=sys.argv[1], filename=sys.argv[2], revision=sys.argv[3] or None))
      """
    let home = downloads.folder.path
    let all = downloads.server.environment(home: home).filter { !$0.value.isEmpty }
    let result = try RunningProcess(
      reference ?? "python3",
      ["-c", script, "\(file.owner)/\(file.repository)", file.path, file.revision ?? ""],
      environment: all.merging(environment) { $1 }
    ).wait()
    #expect(result.code == 0, "\(result.errors)")
    return result.text.trimmingCharacters(in: .newlines)
  }

  private static let names = [
    large, small, large + "@v1", small + "@" + LocalHub.commit, large + "@refs/pr/1",
    small + "@" + LocalHub.commit.prefix(8),
  ]

  @Test(arguments: names) func whatPythonFetchedIsFound(_ name: String) throws {
    let path = try download(name)
    var offline = downloads
    offline.isOffline = true
    #expect(try offline.fetch(name) == path)
  }

  @Test(arguments: names) func whatWasFetchedIsFoundByPython(_ name: String) throws {
    let path = try downloads.fetch(name)
    #expect(try download(name, ["HF_HUB_OFFLINE": "1"]) == path)
  }

  @Test func bothTogetherFetchOnce() throws {
    let ours = try downloads.fetch(large)
    #expect(try download(large + "@v1") == ours)
    #expect(try download(small) == downloads.fetch(small + "@v1"))
    #expect(try downloads.server.requests().filter { $0.storage }.count == 1)
    #expect(try downloads.blobs().count == 2)
  }
}
