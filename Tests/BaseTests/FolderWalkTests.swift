import Base
import Glibc
import TestSupport
import Testing

@Suite struct FolderWalkTests {
  @Test func filesComeInOrder() throws {
    let folder = try ScratchFolder()
    for name in ["b.wav", "a/z.wav", "a/Z.txt", "a/.hidden", ".deep/x", "B", "ä/1"] {
      try folder.write("x", to: name)
    }
    var latin = Array(folder.file("caf").utf8CString.dropLast())
    latin += [CChar(bitPattern: 0xE9), 0]
    close(open(latin, O_CREAT | O_WRONLY, 0o644))
    var (names, others): ([String], [String]) = ([], [])
    try walkFolder(folder.path) { path, name in
      #expect(path == folder.file(name))
      names.append(name)
    } unreadable: { _, name in
      others.append(name)
    }
    #expect(names == ["B", "a/Z.txt", "a/z.wav", "b.wav", "ä/1"])
    #expect(others == ["caf%E9"])
    let size = try fileSize(folder.file("B"))
    #expect(size == 1)
  }

  @Test func whatCannotBeWalkedIsNamed() throws {
    let folder = try ScratchFolder()
    let missing = #expect(throws: Failure.self) {
      try walkFolder(folder.file("none")) { _, _ in
      } unreadable: { _, _ in
      }
    }
    #expect(missing?.kind == .noInput && missing?.subject == folder.file("none"))
    let size = #expect(throws: Failure.self) { try fileSize(folder.file("none")) }
    #expect(size?.kind == .noInput)
    try folder.write("x", to: String(repeating: "d/", count: 65) + "x")
    let deep = #expect(throws: Failure.self) {
      try walkFolder(folder.path) { _, _ in
      } unreadable: { _, _ in
      }
    }
    #expect(deep?.kind == .badInput)
  }
}
