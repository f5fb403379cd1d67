import Base
import Foundation
import Hub
import TestSupport
import Testing

@testable import PocketTTS

@Suite struct ModelFilesTests {
  @Test(arguments: KnownConfigurations.names) func officialPathsAreHubPaths(_ name: String) throws {
    let known = try #require(KnownConfigurations.named(name))
    #expect(KnownConfigurations.name(of: known) == name)
    var paths = [known.weightsPath, known.weightsPathWithoutVoiceCloning].compactMap(\.self)
    paths.append(known.flowLM.lookupTable.tokenizerPath)
    paths += KnownConfigurations.voices.map {
      KnownConfigurations.voicePath($0, configuration: name)
    }
    #expect(paths.count == 30)
    for path in paths {
      let parsed = try HubPath(path)
      #expect(parsed.owner == "kyutai" && parsed.revision?.count == 40)
    }
  }

  @Test func aChangedConfigurationHasNoOfficialVoices() throws {
    var known = try #require(KnownConfigurations.named("english"))
    known.weightsPath = "mine.safetensors"
    #expect(KnownConfigurations.name(of: known) == nil)
  }

  @Test func whatIsNoPathIsAConfigurationError() throws {
    let folder = try ScratchFolder()
    let files = ModelFiles(file: "mine.yaml", place: .folder(folder.path))
    for path in ["hf://a/b", "hf://a/b/c@d@e"] {
      let failure = #expect(throws: Failure.self) { try files.path(of: path) }
      #expect(failure?.kind == .configuration && failure?.subject == "mine.yaml")
    }
    let missing = #expect(throws: Failure.self) { try files.path(of: "https://x.org/a.model") }
    #expect(missing?.kind == .noInput)
    try folder.write("here", to: "a.model")
    for path in ["https://x.org/a.model", "hf://a/b/models/a.model@v1", "a.model"] {
      #expect(try files.path(of: path) == folder.file("a.model"))
    }
  }

  @Test func aKnownNameTakesNothingFromTheWorkingDirectory() throws {
    #expect(try PocketTTSModel(path: "english").files.locations.folder == nil)
    #expect(PocketTTSModel.recognizes("hf://a/b/config.yaml@v1"))
    #expect(!PocketTTSModel.recognizes("hf://a/b/model.safetensors@v1"))
  }

  @Test func whatIsSetInAKnownConfigurationIsAFile() throws {
    let folder = try ScratchFolder()
    try folder.write("here", to: "a.model")
    let files = ModelFiles(file: "english", place: .known)
    #expect(try files.path(of: folder.file("a.model")) == folder.file("a.model"))
    let here = FileManager.default.currentDirectoryPath + "/"
    let steps = here.split(separator: "/").map { _ in ".." }.joined(separator: "/")
    let relative = steps + folder.file("a.model")
    #expect(try files.path(of: relative) == relative)
    #expect(throws: Failure.self) { try files.path(of: "no/such.model") }
  }
}
