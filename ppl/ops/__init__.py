"""Operations on arrays and functions that models and tools use."""
