import Base
import Testing

@testable import Server

@Suite struct FormDataTests {
  private let type = "multipart/form-data; boundary=XYZ"

  private func form(_ body: String, _ type: String? = nil) throws -> FormData {
    try FormData(Array(body.utf8), type: type ?? self.type)
  }

  @Test func fieldsAreRead() throws {
    let body =
      "--XYZ\r\nContent-Disposition: form-data; name=\"text\"\r\n\r\nHello\r\nthere\r\n"
      + "--XYZ\r\ncontent-type: audio/wav\r\n"
      + "Content-Disposition: form-data; name=\"voice_wav\"; filename=\"../a \\\"b\\\";c.wav\"\r\n\r\n"
      + "\r\n--XY\r\n\r\n--XYZ--\r\nepilogue"
    for type in [type, "Multipart/Form-Data;charset=x; boundary=\"XYZ\""] {
      let form = try form(body, type)
      #expect(try form.text("text") == "Hello\r\nthere")
      let file = try #require(try form.field("voice_wav"))
      #expect(Array(file.value) == Array("\r\n--XY\r\n".utf8))
      #expect(file.fileName == "../a \"b\";c.wav")
      #expect(try form.text("other") == nil)
    }
  }

  @Test func pairsAreRead() throws {
    let type = "application/x-www-form-urlencoded; charset=utf-8"
    let form = try form("text=Hello+%C3%A9%26&voice_url=&flag&x=1=2", type)
    #expect(try form.text("text") == "Hello \u{E9}&")
    #expect(try form.text("voice_url") == nil)
    #expect(try form.text("x") == "1=2")
    #expect(form.fields.map(\.name) == ["text", "voice_url", "flag", "x"])
    for bad in ["text=%", "text=%2", "text=%zz", "%FF=a", "=%+1"] {
      #expect(throws: Failure.self, "\(bad)") { try self.form(bad, type) }
    }
    #expect(throws: Failure.self) { try self.form("text=%FF", type).text("text") }
    #expect(throws: Failure.self) { try self.form("a=1&a=2", type).text("a") }
  }

  @Test func whatIsNoFormIsRefused() throws {
    let head = "--XYZ\r\nContent-Disposition: form-data; name=\"text\"\r\n\r\n"
    for body in [
      "", "--", "--XYZ", "--XYZ\r\n", "--XYZ\n", "--XYZab", "junk\r\n" + head + "a\r\n--XYZ--",
      head, head + "a", head + "a\r\n--XY", head + "a\r\n--XYZ", head + "a\r\n--XYZ\r\n",
      "--XYZ\r\n\r\na\r\n--XYZ--", "--XYZ\r\nContent-Disposition: form-data\r\n\r\na\r\n--XYZ--",
      "--XYZ\r\nContent-Disposition: form-data; name=\"text\r\n\r\na\r\n--XYZ--",
      "--XYZ\r\n" + String(repeating: "x", count: 9000) + "\r\n\r\na\r\n--XYZ--",
      String(repeating: head + "a\r\n", count: 33) + "--XYZ--",
    ] {
      #expect(throws: Failure.self, "\(body.prefix(60).debugDescription)") { try form(body) }
    }
    for type in [
      "", "text/plain", "multipart/form-data", "multipart/form-data; boundary=",
      "multipart/form-data; boundary=" + String(repeating: "x", count: 71),
    ] {
      #expect(throws: Failure.self, "\(type)") { try form(head + "a\r\n--XYZ--", type) }
    }
  }

  /// No input makes the reader crash.
  @Test func damagedFormsAreSurvived() {
    let body = Array(
      ("--XYZ\r\nContent-Disposition: form-data; name=\"text\"\r\n\r\nHello\r\n"
        + "--XYZ\r\nContent-Disposition: form-data; name=\"v\"\r\n\r\n\r\n--XYZ--\r\n").utf8)
    for end in body.indices { _ = try? FormData(Array(body[..<end]), type: type) }
    var random = RandomNumbers(seed: 1)
    for _ in 0..<5000 {
      var damaged = body
      for _ in 0..<3 {
        damaged[random.index(below: damaged.count)] =
          [13, 10, 45, 34, 59, 0, 255][
            random.index(below: 7)]
      }
      _ = try? FormData(damaged, type: type)
    }
  }
}
