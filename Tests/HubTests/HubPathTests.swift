import Base
import Testing

@testable import Hub

@Suite struct HubPathTests {
  @Test func namesAreTakenApart() throws {
    let whole = try HubPath("hf://kyutai/pocket-tts/languages/english/model.safetensors@v1.0")
    #expect(whole.owner == "kyutai" && whole.repository == "pocket-tts")
    #expect(whole.path == "languages/english/model.safetensors")
    #expect(whole.revision == "v1.0" && whole.commit == nil)
    let commit = String(repeating: "0a", count: 20)
    #expect(try HubPath("hf://a/b/c@\(commit)").commit == commit)
    #expect(try HubPath("hf://a/b/c@refs/pr/1").revision == "refs/pr/1")
    let bare = try HubPath("hf://a/b/ein Wort.wav")
    #expect(bare.revision == nil && bare.path == "ein Wort.wav")
    for text in ["hf://a/b/c/d@main", "hf://a/b/c"] {
      #expect(try HubPath(text).description == text)
    }
  }

  @Test(arguments: [
    "a/b/c", "hf://", "hf://a", "hf://a/b", "hf://a/b/", "hf://a//c", "hf:///b/c", "hf://a/b/c@",
    "hf://a/b/c@d@e", "hf://a/b/../c", "hf://a/b/./c", "hf://a/b//c", "hf://../b/c", "hf://a/../c",
    "hf://a/b/c@../../x", "hf://a/b/c@/x", "hf://a/b/\u{0}", "hf://a/b/c\nd", "hf://-a/b/c",
    "hf://a--b/c/d", "hf://ä/b/c", "hf://datasets/a/b/c",
  ])
  func whatIsNoNameIsRefused(_ text: String) {
    let failure = #expect(throws: Failure.self) { try HubPath(text) }
    #expect(failure?.kind == .usage)
    #expect(failure?.subject == text)
  }

  @Test func relativePathsStartFromTheFile() throws {
    let name = try HubPath("hf://a/b/models/config.yaml@v1")
    #expect(
      try name.beside("model.safetensors").description == "hf://a/b/models/model.safetensors@v1")
    #expect(try HubPath("hf://a/b/config.yaml").beside("x/y").description == "hf://a/b/x/y")
    for wrong in ["../x", "/x", "x@y", ""] {
      #expect(throws: Failure.self) { try name.beside(wrong) }
    }
  }
}
