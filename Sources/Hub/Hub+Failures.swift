import Base

extension Failure {
  static func hubPath(_ text: String, _ problem: String) -> Failure {
    Failure(
      .usage, subject: text, problem: "not the name of a file on a hub: \(problem)",
      remedy: "write hf://OWNER/REPOSITORY/PATH or hf://OWNER/REPOSITORY/PATH@REVISION")
  }

  static func setting(_ name: String, _ value: String, _ expected: String) -> Failure {
    Failure(
      .configuration, subject: name, problem: "'\(value)' is not \(expected)",
      remedy: "correct the variable or unset it")
  }

  static func token(_ source: String) -> Failure {
    Failure(
      .configuration, subject: source, problem: "what it holds is not a token",
      remedy: "put the token there, one line of letters and digits")
  }

  static func noTransferLibrary(_ reason: String) -> Failure {
    Failure(
      .unavailable, problem: "nothing can be fetched: \(reason)",
      remedy: "install libcurl (Debian: libcurl4), or fetch the files on another machine")
  }

  static func offline(_ name: HubPath, cache: String) -> Failure {
    Failure(
      .noInput, subject: "\(name)",
      problem: "not in the cache (\(cache)), and HF_HUB_OFFLINE is set",
      remedy: "unset it, or run 'tts-model fetch' beforehand")
  }

  /// The server says no.
  static func refused(_ name: HubPath, _ response: HTTPResponse, _ settings: HubSettings)
    -> Failure
  {
    let page = "\(settings.endpoint)/\(name.owner)/\(name.repository)"
    let (problem, remedy): (String, String) =
      switch (response.status, response["x-error-code"]) {
      case (401, _), (403, _):
        if settings.token == nil {
          (
            "access refused (\(response.status)): the repository is gated, private, or not there",
            "accept its terms at \(page), and put a token into HF_TOKEN or "
              + "\(settings.tokenSource)"
          )
        } else {
          (
            "access refused (\(response.status)) in spite of the token of \(settings.tokenSource)",
            "accept the terms at \(page) with the token's account, and check that the token may read "
              + "gated repositories"
          )
        }
      case (404, "RevisionNotFound"):
        ("the repository has no revision '\(name.revision ?? "main")'", "see \(page)")
      case (404, "RepoNotFound"): ("there is no such repository", "see \(page)")
      case (404, _): ("there is no such file", "see \(page)")
      case (451, _): ("the server may not give it out here (451)", "see \(page)")
      default: ("the server answers \(response.status)", "see \(page)")
      }
    return Failure(.noInput, subject: "\(name)", problem: problem, remedy: remedy)
  }

  /// The network or the server failed, however often it was tried.
  static func unreachable(_ name: HubPath, _ problem: String, kept: Bool) -> Failure {
    Failure(
      .unavailable, subject: "\(name)", problem: problem,
      remedy: kept
        ? "run again: what came is kept and continued"
        : "check the network and HF_ENDPOINT, and run again")
  }

  static func untrusted(_ url: String, _ reason: String) -> Failure {
    Failure(
      .unavailable, subject: url, problem: "the server cannot be trusted: \(reason)",
      remedy: "check the address; SSL_CERT_FILE names other certificates to trust")
  }

  static func notAHub(_ name: HubPath, _ problem: String, _ settings: HubSettings) -> Failure {
    Failure(
      .unavailable, subject: "\(name)", problem: "\(settings.endpoint): \(problem)",
      remedy: "set HF_ENDPOINT to a server that works as huggingface.co does")
  }

  static func redirect(_ url: String, _ problem: String) -> Failure {
    Failure(
      .unavailable, subject: url, problem: problem,
      remedy: "check HF_ENDPOINT, and the proxies between")
  }

  static func wrongContent(_ name: HubPath, _ problem: String) -> Failure {
    Failure(
      .inputOutput, subject: "\(name)", problem: "\(problem); nothing of it was kept",
      remedy: "run again; if it repeats, the server is at fault")
  }

  static func diskFull(_ name: HubPath, needs: Int64, free: Int64, in folder: String) -> Failure {
    Failure(
      .inputOutput, subject: "\(name)",
      problem: "it needs \(megabytes(needs)), and \(folder) has room for \(megabytes(free))",
      remedy: "free some space, or let HF_HOME name another place")
  }
}

/// A size in words.
func megabytes(_ bytes: Int64) -> String {
  let tenths = bytes / 100_000
  return "\(tenths / 10).\(tenths % 10) MB"
}
