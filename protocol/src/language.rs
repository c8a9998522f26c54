//! The language codes a peer names itself by. Constants and pure functions.

/// A language code as the binary header carries it; unknown codes are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Language(pub u8);

const NAMES: [&str; 13] =
    ["JAVA", "CPP", "DOTNET", "PYTHON", "DELPHI", "ERLANG", "RUBY", "OTHER", "HTTP", "GO", "PHP", "OMS", "RUST"];

impl Language {
    pub const JAVA: Language = Language(0);
    pub const CPP: Language = Language(1);
    pub const DOTNET: Language = Language(2);
    pub const PYTHON: Language = Language(3);
    pub const DELPHI: Language = Language(4);
    pub const ERLANG: Language = Language(5);
    pub const RUBY: Language = Language(6);
    pub const OTHER: Language = Language(7);
    pub const HTTP: Language = Language(8);
    pub const GO: Language = Language(9);
    pub const PHP: Language = Language(10);
    pub const OMS: Language = Language(11);
    pub const RUST: Language = Language(12);

    /// The name as JSON headers spell it; unknown codes are called OTHER.
    pub fn name(self) -> &'static str {
        NAMES.get(usize::from(self.0)).copied().unwrap_or("OTHER")
    }

    /// The code of a name; OTHER for names not known here.
    pub fn from_name(name: &[u8]) -> Language {
        let place = NAMES.iter().position(|known| known.as_bytes() == name);
        place.and_then(|place| u8::try_from(place).ok()).map_or(Language::OTHER, Language)
    }
}

impl Default for Language {
    fn default() -> Self {
        Language::JAVA
    }
}

#[cfg(test)]
mod tests {
    use super::Language;

    #[test]
    fn names_and_codes_agree() {
        for code in 0..13 {
            assert_eq!(Language::from_name(Language(code).name().as_bytes()), Language(code));
        }
        assert_eq!((Language::GO.name(), Language::RUST.name()), ("GO", "RUST"));
        assert_eq!(Language::from_name(b"COBOL"), Language::OTHER);
        assert_eq!(Language(99).name(), "OTHER");
    }
}
