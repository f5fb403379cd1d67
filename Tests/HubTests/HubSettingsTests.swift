import Base
import TestSupport
import Testing

@testable import Hub

@Suite struct HubSettingsTests {
  private func settings(_ environment: [String: String]) throws -> HubSettings {
    try HubSettings(environment: environment.merging(["HOME": "/home/me"]) { ours, _ in ours })
  }

  @Test func theCacheIsWhereHuggingFaceHubHasIt() throws {
    for (environment, cache) in [
      ([:], "/home/me/.cache/huggingface/hub"),
      (["XDG_CACHE_HOME": "/x"], "/x/huggingface/hub"),
      (["HF_HOME": "~/h", "XDG_CACHE_HOME": "/x"], "/home/me/h/hub"),
      (["HF_HOME": "$DATA/${USER}/h", "DATA": "/d", "USER": "me"], "/d/me/h/hub"),
      (["HF_HOME": "/$NOBODY"], "/$NOBODY/hub"),
      (["HF_HOME": "/h", "HUGGINGFACE_HUB_CACHE": "/old"], "/old"),
      (["HF_HOME": "/h", "HUGGINGFACE_HUB_CACHE": "/old", "HF_HUB_CACHE": "/c"], "/c"),
      (["HF_HOME": ""], "/home/me/.cache/huggingface/hub"),
    ] {
      #expect(try settings(environment).cache == cache, "\(environment)")
    }
  }

  @Test func variablesAreRead() throws {
    let plain = try settings([:])
    #expect(plain.endpoint == "https://huggingface.co")
    #expect(!plain.isOffline && plain.token == nil && plain.stallLimit == .seconds(10))
    #expect(try settings(["HF_ENDPOINT": "http://mirror/hub//"]).endpoint == "http://mirror/hub")
    for value in ["1", "on", "Yes", "TRUE"] {
      #expect(try settings(["HF_HUB_OFFLINE": value]).isOffline)
    }
    #expect(try !settings(["HF_HUB_OFFLINE": "0"]).isOffline)
    #expect(try settings(["TRANSFORMERS_OFFLINE": "1"]).isOffline)
    #expect(try settings(["HF_HUB_DOWNLOAD_TIMEOUT": "30"]).stallLimit == .seconds(30))
    #expect(try settings(["HF_HUB_ETAG_TIMEOUT": "3"]).answerLimit == .seconds(3))
    for wrong in [
      ["HF_ENDPOINT": "mirror"], ["HF_ENDPOINT": "http://a b"], ["HF_HUB_ETAG_TIMEOUT": "soon"],
      ["HF_TOKEN": "hf_a\nX-Evil: 1"],
    ] {
      let failure = #expect(throws: Failure.self) { try settings(wrong) }
      #expect(failure?.kind == .configuration)
    }
  }

  @Test func theTokenIsFound() throws {
    let folder = try ScratchFolder()
    try folder.write("hf_file\n", to: "token")
    #expect(try settings(["HF_HOME": folder.path]).token == "hf_file")
    #expect(try settings(["HF_HOME": folder.path]).tokenSource == folder.file("token"))
    #expect(try settings(["HF_HOME": folder.path, "HF_TOKEN": " hf_x "]).token == "hf_x")
    #expect(try settings(["HUGGING_FACE_HUB_TOKEN": "hf_old"]).token == "hf_old")
    try folder.write("hf_other", to: "other")
    #expect(try settings(["HF_TOKEN_PATH": folder.file("other")]).token == "hf_other")
    #expect(
      try settings(["HF_TOKEN": "hf_x", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"]).token == nil)
  }
}
