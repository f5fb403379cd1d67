import Text

extension Configuration {
  /// The rules of text preparation.
  var textOptions: TextOptions {
    TextOptions(
      padShort: padWithSpacesForShortInputs, removeSemicolons: removeSemicolons,
      appendPunctuation: appendTerminalPunctuation, capitalize: capitalizeFirstLetter,
      replaceCharacters: Dictionary(
        replaceCharacters.compactMap { pair in
          pair.character.unicodeScalars.first.map { ($0, pair.replacement) }
        }, uniquingKeysWith: { $1 }))
  }
}
