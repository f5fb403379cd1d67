import Glibc

extension Failure {
  /// A failed system call on a file, classed by `errno`.
  ///
  /// - Parameters:
  ///   - verb: what was tried, as in "cannot \(verb)".
  ///   - path: the file.
  ///   - writing: whether the file is an output.
  ///   - code: `errno` at the time of the failure.
  public static func systemCall(
    _ verb: String, _ path: String, writing: Bool = false, code: Int32
  ) -> Failure {
    let reason = String(cString: strerror(code)).lowercasedFirst
    switch code {
    case ENOSPC, EDQUOT, EFBIG:
      return Failure(
        .inputOutput, subject: path, problem: "cannot \(verb): \(reason)",
        remedy: "free some space and run again")
    case ENOENT where !writing:
      return Failure(.noInput, subject: path, problem: "no such file", remedy: "check the path")
    case EACCES, EPERM, EISDIR, ENOTDIR, ENOENT, EROFS, ENXIO, ELOOP, ENAMETOOLONG:
      return Failure(
        writing ? .cannotCreate : .noInput, subject: path, problem: "cannot \(verb): \(reason)",
        remedy: "check the path and its permissions")
    case ENOMEM, EMFILE, ENFILE, EAGAIN:
      return Failure(
        .noResources, subject: path, problem: "cannot \(verb): \(reason)",
        remedy: "close other programs or lower -T")
    default:
      return Failure(
        .inputOutput, subject: path, problem: "cannot \(verb): \(reason)",
        remedy: "check the device and run again")
    }
  }
}

extension String {
  var lowercasedFirst: String { prefix(1).lowercased() + dropFirst() }
}
