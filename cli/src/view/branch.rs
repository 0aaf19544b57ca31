//! Trees as text: `├─`, `│`, `└─`.

/// A node of a tree that is printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch<T> {
    /// What stands there.
    pub value: T,
    /// What stands below it, in order.
    pub children: Vec<Branch<T>>,
}

impl<T> Branch<T> {
    /// A node with nothing below it.
    pub fn leaf(value: T) -> Self {
        Self {
            value,
            children: Vec::new(),
        }
    }
}

/// Every node, from the top down, with what is drawn before its name.
pub fn flatten<T>(roots: &[Branch<T>]) -> Vec<(String, &T)> {
    let mut all = Vec::new();
    for root in roots {
        all.push((String::new(), &root.value));
        below(&root.children, "", &mut all);
    }
    all
}

fn below<'t, T>(nodes: &'t [Branch<T>], indent: &str, all: &mut Vec<(String, &'t T)>) {
    for (index, node) in nodes.iter().enumerate() {
        let is_last = index + 1 == nodes.len();
        let (tick, more) = if is_last {
            ("└─ ", "   ")
        } else {
            ("├─ ", "│  ")
        };
        all.push((format!("{indent}{tick}"), &node.value));
        below(&node.children, &format!("{indent}{more}"), all);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_each_level_closes_it() {
        let tree = Branch {
            value: "a",
            children: vec![
                Branch {
                    value: "b",
                    children: vec![Branch::leaf("c")],
                },
                Branch {
                    value: "d",
                    children: vec![Branch::leaf("e")],
                },
            ],
        };
        let text: Vec<String> = flatten(&[tree])
            .into_iter()
            .map(|(before, name)| format!("{before}{name}"))
            .collect();
        assert_eq!(text, ["a", "├─ b", "│  └─ c", "└─ d", "   └─ e"]);
    }
}
